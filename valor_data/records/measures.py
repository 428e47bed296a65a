"""Numbers of a clip, by one measurer each."""

from typing import Annotated, Literal

from pydantic import Field

from valor_data.records.row import ClipId, Ms, Record, Sha256, Share, Vector, Words


class Measures(Record):
    """Numbers of one clip by one measurer, taken on the very bytes of `media_sha256`.

    None: not defined for this clip. The docstring of a number says how a bad value sounds or looks
    behind "Bad:"; docs/measures.md is made from it.
    """

    key = ("clip_id", "made_by")

    clip_id: ClipId
    media_sha256: Sha256
    """The bytes that were measured; the row is stale when the clip's media change."""


class AudioMeasures(Measures):
    """The sound of a clip. Windows last 100 ms (the last may be shorter); levels are relative to full
    scale."""

    table = "audio_measures"

    has_audio: bool
    """At least one audio frame decodes. Bad: false, a clip without any sound."""
    duration_ms: Ms | None = None
    """Decoded sound: samples divided by the sample rate. Bad: far from the picture's length."""
    loudness_lufs: float | None = None
    """Integrated loudness, LUFS (ITU-R BS.1770-4, EBU R128 gating); -70 is the gate, so silence
    reads -70. A mono clip counts as played on two loudspeakers (dual mono), so that it is not
    3 LU quieter than the same sound in stereo. None below one 400 ms block, or where samples are no
    numbers. Bad: below about -55, nothing is heard at a usual volume."""
    momentary_max_lufs: float | None = None
    """Loudest 400 ms, LUFS (EBU Tech 3341, momentary, ungated; -120.7 is its floor). None as
    `loudness_lufs`. Bad: below about -45, not even one moment stands out; high beside a low
    `loudness_lufs`: one event in a quiet clip, which is worth keeping."""
    sample_peak_dbfs: float | None = None
    """Largest absolute sample, dB relative to full scale; -120 at digital silence. Bad: below -60."""
    true_peak_dbtp: float | None = None
    """Peak between the samples (BS.1770-4 annex 2, 4 times oversampled), dBTP. None where the sample
    peak lies below -6 dBFS: no sound overshoots that far. Bad: above +1, harsh where it is played."""
    silent_share: Share | None = None
    """Share of windows whose RMS over all channels lies below -60 dBFS. Bad: near 1, a dead track."""
    longest_silence_ms: Ms | None = None
    """Longest run of such windows. Bad: most of the clip; the track starts late or breaks off."""
    clipped_share: Share | None = None
    """Share of samples at or above 0.999 of full scale. Bad: above about 0.01, crackling distortion."""
    dc_offset: float | None = None
    """Mean sample of the channel where it is farthest from zero, full scale 1. Bad: beyond 0.01 either
    way, a faulty recorder."""
    bandwidth_hz: float | None = None
    """Frequency up to which the mean spectrum carries sound: the highest within 70 dB of its strongest
    third of an octave. None for silence. Bad: about 4000 at a high sample rate, a telephone's sound."""
    stereo_correlation: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Correlation of the first two channels; 1: mono in two channels. None for one channel or silence.
    Bad: below about -0.5, the channels cancel each other in mono."""
    snr_db: float | None = None
    """Level between the loud windows (95th percentile of RMS) and the quiet ones (10th), dB: an estimate
    of how far events stand above the background. Bad: under about 3, one steady noise or hum."""
    spectral_flatness: Share | None = None
    """Geometric over arithmetic mean of the power in equal bands up to the bandwidth (Wiener entropy),
    median over windows that are not silent; 1: white noise, 0: one tone. Bad: near 0, hum; above about
    0.5, hiss."""
    channels: int | None = None
    """Of the decoded sound. Bad: nothing by itself."""
    sample_rate: int | None = None
    """Hz. Bad: 8000 and below, speech only."""
    decode_errors: int = 0
    """Packets that the decoder refused, and frames in no usable form. Bad: above 0, gaps."""
    sound_complaint: str | None = None
    """The decoder's first words about this stream, where it had any. Bad: any."""


class VideoMeasures(Measures):
    """The picture of a clip, from frames on a grid of four a second, scaled to 64 x 36; sharpness and
    blocks are read at full size from a few of them. Light runs from 0 (black) to 1 (white)."""

    table = "video_measures"

    has_video: bool
    """At least one frame decodes; cover art is no picture. Bad: false."""
    picture_ms: Ms | None = None
    """From the first shown frame to the end of the last. Bad: far from the sound's length."""
    aspect: float | None = None
    """Displayed width over height, non-square pixels taken into account. Bad: below 0.4 or above 3."""
    frames_per_second: float | None = None
    """Shown frames divided by their duration. Bad: below about 8, a slide show or a dropped stream."""
    frames_seen: int = 0
    """Frames of the grid. Bad: below 4, too few for motion."""
    motion: Share | None = None
    """Mean absolute change of light from one frame of the grid to the next. None below two frames.
    Bad: below about 0.002, nothing moves."""
    still_share: Share | None = None
    """Share of neighbours in the grid that look the same (mean change below 0.003, and nowhere above
    0.04). Bad: near 1, a still picture, an album cover; above about 0.8, a slide show."""
    black_share: Share | None = None
    """Share of frames that are almost all black (98 % of the light below 0.1). Bad: above about 0.5."""
    white_share: Share | None = None
    """Share of frames that are almost all white (98 % of the light above 0.9). Bad: above about 0.5."""
    scene_cuts: int | None = None
    """Sudden changes of nearly the whole picture between neighbours in the grid. Bad: above about one a
    second, a compilation."""
    sharpness: float | None = None
    """Variance of the Laplacian of light (0-1) at full size, in thousandths, the sharpest of the frames
    read. Bad: below about 0.1, out of focus or scaled up."""
    brightness: Share | None = None
    """Mean light. Bad: below 0.05 or above 0.95."""
    contrast: Share | None = None
    """Standard deviation of light, mean over frames. Bad: below about 0.03, fog or one colour."""
    saturation: Share | None = None
    """Mean distance of the colour from grey (chroma 0-1). Bad: nothing by itself; 0 is black and white."""
    letterbox_share: Share | None = None
    """Share of the picture taken by black bars at its edges that stay all the time. Bad: above about 0.4."""
    blockiness: float | None = None
    """Steps across the codec's 8 x 8 grid over steps elsewhere, full size; 1: none to be seen. Bad: above
    about 1.5, heavily compressed."""
    picture_errors: int = 0
    """Packets that the decoder refused. Bad: above 0, smeared or missing frames."""
    picture_complaint: str | None = None
    """The decoder's first words about this stream, where it had any. Bad: any."""


class AvMeasures(Measures):
    """Sound and picture of a clip together. Hints, not proof: a talking head need not move with its
    sound, and music seldom does."""

    table = "av_measures"

    duration_gap_ms: int | None = None
    """Length of the sound less that of the picture. None where one is missing. Bad: beyond 500 either
    way, a stream breaks off."""
    start_skew_ms: float | None = None
    """First sample less first shown frame, on the clip's own clock. Bad: beyond 100 either way, out of
    step."""
    onset_motion_correlation: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Correlation of rises in sound level with motion, on the grid of a quarter second, at the lag (up
    to half a second) where it is strongest. None where either never changes, or below two seconds.
    Bad: near 0 says little; above about 0.3, sound and picture share their events."""
    onset_motion_lag_ms: int | None = None
    """That lag: positive where the sound comes later. Bad: beyond 250 with a high correlation."""


class SpeechMeasures(Measures):
    """Speech in a clip (silero-vad on 16 kHz mono)."""

    table = "speech_measures"

    speech_share: Share | None = None
    """Share of the sound that is speech. None without sound. Bad: near 1 where sounds are wanted, somebody
    talks all the time."""
    speech_spans_ms: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Start and end of each stretch of speech in turn, milliseconds of the sound. Bad: nothing by itself."""


class TagMeasures(Measures):
    """What a tagger hears (`made_by` names the model and a hash of its weights)."""

    table = "tag_measures"

    tags: Words = ()
    """Most likely classes, best first; empty without sound. Bad: not the list's own labels."""
    tag_scores: Annotated[tuple[float, ...], Field(strict=False)] = ()
    """Score of each, 0-1, mean over the clip. Bad: all below about 0.1, nothing recognised."""


class SafetyMeasures(Measures):
    """What stands against showing a clip to anybody, as numbers."""

    table = "safety_measures"

    nsfw_score: Share | None = None
    """Largest score of the frames looked at, a classifier's guess. None: not asked for, or no picture. Bad:
    above about 0.8; skin alone may reach that, so look before you judge."""
    text_share: Share | None = None
    """Share of the picture inside boxes of text in every frame looked at. None: not asked for, or no
    picture. Bad: above about 0.1, captions or slides burnt in."""
    pdq_hashes: Words = ()
    """PDQ hash (64 hex digits) of each frame looked at that has enough detail for one; empty where no hash
    list is asked. Bad: one on a list."""
    md5: str | None = None
    """Digest of the file, 32 hex digits. None: no hash list is asked. Bad: one on a list."""


class Prints(Measures):
    """Fingerprints of a clip's sound and picture that survive a new encoding; see `valor_data.prints`."""

    table = "prints"

    sound: bytes | None = None
    """None: too silent to be told from other silence. Bad: nothing by itself."""
    picture: bytes | None = None
    """None: too dark or flat to be told from other dark pictures. Bad: nothing by itself."""


class Embedding(Record):
    """Where a model puts a clip, or its caption, in its space. Alike things lie in alike directions."""

    table = "embeddings"
    key = ("clip_id", "kind", "model")

    clip_id: ClipId
    kind: Literal["v", "a", "av", "t"]
    """Of the picture, of the sound, of both, or of the first caption."""
    model: str
    """Name and version; vectors of different models cannot be compared."""
    vector: Vector


class Necessity(Record):
    """What the captions of a clip need of it, by a model that is asked with spoilt clips: the share of spoilt
    ones that the captions like less than the true one. 1: it is needed; about 0.5: it makes no difference.

    None: the clip has no such thing.
    """

    table = "necessities"
    key = ("clip_id", "made_by")

    clip_id: ClipId
    needs_audio: Share | None = None
    """Of its sound muted and the sounds of other clips in its place."""
    needs_video: Share | None = None
    """Of its picture black and the pictures of other clips in its place."""
    needs_timing: Share | None = None
    """Of its sound shifted in time: by a quarter, a half and three quarters of its length, its end first."""
