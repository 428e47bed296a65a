"""The door of heavy models: what a network, or a list of known hashes, says of sounds and pictures.

    speech   where someone speaks                silero-vad's weights, onnxruntime
    tags     which AudioSet classes sound        YAMNet (ai-edge-litert), or a Hugging Face model (torch)
    unsafe   how likely a picture is sexual      open_nsfw's weights or the user's own, onnxruntime
    wording  how much of a picture is writing    RapidOCR's detector, onnxruntime
    language which language a text is in         py3langid's model, numpy
    pdq      the PDQ hash of a picture           numpy
    hashes   what is on a list of known hashes   numpy

Every scorer is opened once a worker process and then asked again and again; its libraries load when it
is opened, and it keeps to one thread, for a worker owns one core. Whoever opens one without its packages
gets a UserError with the line that installs them.
"""
