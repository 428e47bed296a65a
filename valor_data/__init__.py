"""From a list of video segments to a released, human-captioned vision-audio-language dataset."""

__version__ = "0.1.0"
