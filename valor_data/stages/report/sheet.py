"""The contact sheet: clips drawn by seed, each with a poster frame, its spectrogram and its caption."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from valor_data.errors import ItemError
from valor_data.media.observe import VOICE_RATE, Wanted, observe
from valor_data.media.still import jpeg
from valor_data.page import escaped
from valor_data.signals.spectrogram import spectrogram
from valor_data.store import Store
from valor_data.tables import Drawn

_LONGEST = 320
"""Pixels of a picture's longer side."""
_SPECTROGRAM = (320, 80)
_CAPTION, _LABELS = 300, 80
"""Letters that are shown."""


class _Seen(NamedTuple):
    """What a clip looks and sounds like, as JPEG."""

    poster: bytes | None = None
    sound: bytes | None = None
    fault: str = ""
    """Why there is neither."""


def sheet(store: Store, drawn: Sequence[Drawn], totals: Mapping[str, int], base: str) -> str:
    """The clips as HTML, by verdict. A page in a folder plays them from the workspace, `base` away; one in an
    object store has pictures alone. `totals`: clips by reason, of the kept ones by no reason."""
    if not drawn:
        return "<p>There is no clip to show yet.</p>"
    how = (
        "Each plays where this page is opened from the workspace."
        if store.is_local
        else "The workspace lies in an object store, so they do not play here."
    )
    told = "They are drawn by a hash, so that the same workspace shows the same clips. "
    parts = [
        f"<p>{told}{how} Under a picture stands the sound: time to the right, 50 Hz to 8 kHz upwards.</p>"
    ]
    for reason, group in groupby(drawn, key=lambda clip: "" if clip.kept else clip.reason):
        clips = list(group)
        title = f"Rejected: {escaped(reason, _LABELS)}" if reason else "Kept"
        parts.append(f"<h3>{title} ({len(clips)} of {totals.get(reason, len(clips)):,})</h3>")
        cards = "\n".join(_card(clip, _look(store, clip), base if store.is_local else "") for clip in clips)
        parts.append(f'<ul class="clips">\n{cards}\n</ul>')
    return "\n".join(parts)


def _look(store: Store, clip: Drawn) -> _Seen:
    try:
        with store.local(clip.object_key) as path:
            found = observe(path, Wanted(voice=True, stills=True))
    except FileNotFoundError:
        return _Seen(fault="The media object is not in the store.")
    except ItemError as error:
        return _Seen(fault=f"The clip does not decode: {error}")
    stills, sound = found.stills, found.voice_T
    return _Seen(
        jpeg(stills[len(stills) // 2], _LONGEST) if stills else None,
        jpeg(spectrogram(sound, VOICE_RATE, *_SPECTROGRAM), _LONGEST) if sound is not None else None,
    )


def _card(clip: Drawn, seen: _Seen, base: str) -> str:
    return (
        f'<li><article aria-label="{escaped(clip.clip_id)}">{_picture(clip, seen, base)}{_sound(seen)}'
        f"{''.join(_words(clip))}</article></li>"
    )


def _picture(clip: Drawn, seen: _Seen, base: str) -> str:
    if seen.fault:
        return f'<p class="none">{escaped(seen.fault, _CAPTION)}</p>'
    poster = f"data:image/jpeg;base64,{b64encode(seen.poster).decode()}" if seen.poster else ""
    if base:
        shown = f' poster="{poster}"' if poster else ""
        return (
            f'<video controls preload="none" aria-label="Clip {escaped(clip.clip_id)}"{shown} '
            f'src="{base}{quote(clip.object_key)}"></video>'
        )
    if not poster:
        return '<p class="none">No picture.</p>'
    return f'<img class="poster" src="{poster}" alt="A frame of {escaped(clip.clip_id)}">'


def _sound(seen: _Seen) -> str:
    if seen.sound is None:
        return "" if seen.fault else '<p class="none">No sound.</p>'
    wide, high = _SPECTROGRAM
    return (
        f'<img src="data:image/jpeg;base64,{b64encode(seen.sound).decode()}" width="{wide}" height="{high}" '
        'alt="Spectrogram of its sound">'
    )


def _words(clip: Drawn) -> Iterator[str]:
    if clip.caption:
        yield f'<p dir="auto">{escaped(" ".join(clip.caption.split()), _CAPTION)}</p>'
    seconds = f"{clip.start_ms / 1000:g} to {clip.end_ms / 1000:g} s"
    told = [f"<code>{escaped(clip.clip_id)}</code>", seconds]
    told += [escaped(clip.split)] if clip.split else []
    # <bdi>: writing from right to left must not turn what follows.
    told += [f"<bdi>{escaped(', '.join(clip.labels), _LABELS)}</bdi>"] if clip.labels else []
    told += [f"<bdi>{escaped(clip.detail, _LABELS * 2)}</bdi>"] if clip.detail else []
    yield f"<p><small>{'; '.join(told)}</small></p>"
