"""An observation to the fields of a record, without any model."""

from pathlib import Path
from typing import Any

import numpy as np

from valor_data import prints
from valor_data.media.observe import Observation, Wanted, observe
from valor_data.signals import picture as pictures
from valor_data.signals import sound as sounds
from valor_data.signals import together


def of_file(path: Path) -> dict[str, Any]:
    """Numbers of sound and picture of a file that no table knows, by the names that a release uses. Raises
    ItemError for one that is no media."""
    seen = observe(path, Wanted(sound=True, picture=True))
    sound = audio(seen)
    return {**video(seen), **sound, "audio_duration_ms": sound.get("duration_ms")}


def audio(seen: Observation) -> dict[str, Any]:
    """Fields of `AudioMeasures`."""
    faults = {"decode_errors": seen.sound_errors, "sound_complaint": seen.sound_complaint}
    sound = seen.sound
    if sound is None:
        return {"has_audio": False, **faults}
    windows, hertz_F = sound.windows, sound.hertz_F
    return {
        "has_audio": True,
        "duration_ms": sound.duration_ms,
        "loudness_lufs": sound.loudness_lufs,
        "momentary_max_lufs": sound.momentary_max_lufs,
        "sample_peak_dbfs": sounds.sample_peak_dbfs(windows),
        "true_peak_dbtp": None if sound.true_peak is None else sounds.dbfs(sound.true_peak),
        "silent_share": sounds.silent_share(windows),
        "longest_silence_ms": sounds.longest_silence_ms(windows, sound.rate),
        "clipped_share": sounds.clipped_share(windows),
        "dc_offset": sounds.dc_offset(windows),
        "bandwidth_hz": sounds.bandwidth_hz(sound.spectra, hertz_F),
        "stereo_correlation": sounds.stereo_correlation(windows),
        "snr_db": sounds.snr_db(windows),
        "spectral_flatness": sounds.spectral_flatness(sound.spectra, windows, sound.rate),
        "channels": windows.mean_WC.shape[1],
        "sample_rate": sound.rate,
        **faults,
    }


def video(seen: Observation) -> dict[str, Any]:
    """Fields of `VideoMeasures`."""
    faults = {"picture_errors": seen.picture_errors, "picture_complaint": seen.picture_complaint}
    picture = seen.picture
    if picture is None:
        return {"has_video": False, **faults}
    light, details = picture.light_THV, picture.details
    blocks = [detail.blockiness for detail in details if detail.blockiness is not None]
    seconds = picture.duration_ms / 1000
    return {
        "has_video": True,
        "picture_ms": picture.duration_ms,
        "aspect": picture.aspect,
        "frames_per_second": round(picture.frames / seconds, 3) if seconds else None,
        "frames_seen": len(light),
        "motion": pictures.motion(light),
        "still_share": pictures.still_share(light),
        "black_share": pictures.black_share(light),
        "white_share": pictures.white_share(light),
        "scene_cuts": pictures.scene_cuts(light),
        "sharpness": max((detail.sharpness for detail in details), default=None),
        "brightness": pictures.brightness(light),
        "contrast": pictures.contrast(light),
        "saturation": round(float(picture.saturation_T.mean()), 4),
        "letterbox_share": pictures.letterbox_share(light),
        "blockiness": float(np.median(blocks)) if blocks else None,
        **faults,
    }


def av(seen: Observation) -> dict[str, Any]:
    """Fields of `AvMeasures`."""
    sound, picture = seen.sound, seen.picture
    if sound is None or picture is None:
        return {}
    skew = None
    if sound.first_ms is not None and picture.first_ms is not None:
        skew = round(sound.first_ms - picture.first_ms, 3)
    found = together.coupling(sound, picture)
    return {
        "duration_gap_ms": sound.duration_ms - picture.duration_ms,
        "start_skew_ms": skew,
        "onset_motion_correlation": found.correlation if found else None,
        "onset_motion_lag_ms": found.lag_ms if found else None,
    }


def fingerprints(seen: Observation) -> dict[str, Any]:
    """Fields of `Prints`."""
    sound, picture = seen.sound, seen.picture
    return {
        "sound": prints.sound(sound.spectra.voice_WF, sound.hertz_F) if sound else None,
        "picture": prints.picture(picture.mean_THV) if picture else None,
    }
