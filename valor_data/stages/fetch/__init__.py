"""Segments to clips: find the bytes, cut the span exactly, measure what came, put it into the store.

stage    what is to do, and how it is kept
worker   one video's clips, from a mirror or from the platform
restate  what is stated of videos now, for a release
"""

from valor_data.stages.fetch.restate import restated
from valor_data.stages.fetch.stage import FetchStage, sweep

__all__ = ["FetchStage", "restated", "sweep"]
