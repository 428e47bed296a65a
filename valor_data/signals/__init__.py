"""Numbers from arrays of samples and of pictures: pure numpy, no I/O.

sound     windows of samples to levels and spectra, and those to numbers
peak      the peak between samples
picture   small frames to numbers
together  sound and picture beside each other
spectrogram  a sound as a picture

Samples are floats with full scale at 1.0 and may lie above it (decoders of lossy codecs overshoot).
Levels are in dBFS: a sample of 1.0 is 0 dBFS, and so is the RMS of a full-scale square wave. Light runs
from 0 (black) to 1 (white). Suffixes: N items of a batch, T samples or frames in time, C channels,
W windows of sound, F frequency bins, B bands, H rows, V columns of a picture.
"""
