"""Clips to the small pairs that a training set holds: a silent mp4 of few frames, and the sound as flac."""

from valor_data.stages.derive.stage import DeriveStage

__all__ = ["DeriveStage"]
