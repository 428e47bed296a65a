"""The media door: PyAV in process, and the ffmpeg binary that comes as a wheel.

`probe` reads what a file is, `cut` makes a clip of a span, `sound` measures and decodes its audio,
`write` encodes pictures and samples. Import the module that is meant; nothing heavy loads here.
"""
