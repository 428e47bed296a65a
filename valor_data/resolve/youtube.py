"""What YouTube wants beside yt-dlp: a JavaScript runtime, the scripts that solve its challenges, tokens."""

import importlib.util

import deno  # type: ignore[import-untyped]
from yt_dlp.utils._jsruntime import DenoJsRuntime

_BGUTIL = "BgUtilHTTP"
"""What the plug-in bgutil-ytdlp-pot-provider registers for a provider that is reached by HTTP."""


def javascript_runtime() -> str | None:
    """`<path> <version>` of the JavaScript runtime that YouTube needs; None without a usable one."""
    info = DenoJsRuntime(path=deno_path()).info
    return f"{info.path} {info.version}" if info and info.supported else None


def deno_path() -> str | None:
    """Where deno lies; None: yt-dlp looks on PATH."""
    try:
        return str(deno.find_deno_bin())
    except FileNotFoundError:
        return None


def solver_versions() -> tuple[str | None, str]:
    """The version of yt-dlp-ejs that is installed, None without one, and the one that yt-dlp wants: their
    first two numbers must be the same."""
    from yt_dlp.extractor.youtube.jsc._builtin.vendor._info import VERSION

    if not importlib.util.find_spec("yt_dlp_ejs"):
        return None, VERSION
    import yt_dlp_ejs  # type: ignore[import-untyped]

    return str(yt_dlp_ejs.version), VERSION


def has_token_provider() -> bool:
    """Whether the plug-in is there that asks a provider for PO tokens."""
    from yt_dlp.extractor.youtube.pot._registry import _pot_providers
    from yt_dlp.plugins import load_all_plugins

    load_all_plugins()
    return _BGUTIL in _pot_providers.value


def player_clients() -> frozenset[str]:
    """The names that `access.player_clients` may hold."""
    from yt_dlp.extractor.youtube._base import INNERTUBE_CLIENTS

    return frozenset({"default", "all", *(name for name in INNERTUBE_CLIENTS if not name.startswith("_"))})
