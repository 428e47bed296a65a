"""Clips to numbers: every measurer's rows for the media that lack them, from one decode a clip."""

from valor_data.stages.measure.measurers import Measurer, measurers
from valor_data.stages.measure.numbers import of_file
from valor_data.stages.measure.stage import MeasureStage

__all__ = ["MeasureStage", "Measurer", "measurers", "of_file"]
