"""What fetching will cost: bytes and hours, before anything is asked of anybody."""

from collections.abc import Sequence
from typing import NamedTuple

from valor_data.politeness import Hosts, site
from valor_data.recipe import Host, Recipe
from valor_data.tables import HostWork, Sizes

# Typical of a 480-line picture at x264's crf 23, and of what platforms serve of that height.
_KBPS = 900.0
_LINES = 480
_SERVED_AUDIO_KBPS = 128
_SOURCE_FPS = 25.0
# Around a span: from the key frame before it, to the end of the fragment in which it ends; and the index.
_AROUND_MS = 5_000
_INDEX_BYTES = 50_000
_MOST_HOSTS = 10


class Estimate(NamedTuple):
    """What a fetch would take."""

    videos: int
    bytes_to_read: int
    bytes_to_keep: int
    lines: tuple[str, ...]
    """For people: the bytes, then each host with the hours that its pace asks for, slowest first."""


def estimate(recipe: Recipe, work: Sequence[HostWork], sizes: Sizes) -> Estimate:
    """The cost of work that is to do; `sizes` is what this profile's clips took so far."""
    clips = sum(one.clips for one in work)
    span_ms = sum(one.span_ms for one in work)
    read = _read_by_rule(recipe, clips, span_ms)
    keep = _kept_by_rule(recipe, clips, span_ms)
    if sizes.read_ms and sizes.bytes_read:
        read = round(span_ms * sizes.bytes_read / sizes.read_ms)
    if sizes.kept_ms:
        keep = round(span_ms * sizes.bytes_kept / sizes.kept_ms)
    grounds = f"as the {sizes.clips:,} clips so far" if sizes.clips else f"typical of {_height(recipe)} lines"
    hosts = Hosts(recipe.hosts)
    by_site: dict[str, HostWork] = {}
    for one in work:
        name = site(f"https://{one.host}") if one.host else ""
        known = by_site.get(name, HostWork(name, 0, 0, 0))
        sums = (known.videos + one.videos, known.clips + one.clips, known.span_ms + one.span_ms)
        by_site[name] = HostWork(name, *sums)
    slowest = sorted(
        by_site.values(), key=lambda one: (-_hours(hosts.policy(one.host), one.videos), -one.videos, one.host)
    )
    lines = [f"about {_size(read)} to read and {_size(keep)} to keep, {grounds}"] if clips else []
    lines += [_line(one, hosts.policy(one.host)) for one in slowest[:_MOST_HOSTS]]
    if slowest[_MOST_HOSTS:]:
        lines.append(f"and {len(slowest) - _MOST_HOSTS:,} more hosts, none slower")
    if clips and recipe.mirrors:
        lines.append("less what the mirrors hold: that keeps no host's pace")
    videos = sum(one.videos for one in by_site.values())
    return Estimate(videos, read, keep, tuple(lines))


def _line(work: HostWork, policy: Host) -> str:
    hours = _hours(policy, work.videos)
    pace = []
    if policy.videos_per_hour is not None:
        pace.append(f"{policy.videos_per_hour:g} videos an hour")
    if any(policy.sleep_s):
        pace.append(f"{policy.sleep_s[0]:g} to {policy.sleep_s[1]:g} s apart")
    pace.append(f"{policy.connections} at a time")
    took = f"about {_duration(hours)} at {', '.join(pace)}" if hours else f"no pace set, {pace[-1]}"
    name = work.host or "addresses without a host"
    return f"{name}: {work.videos:,} videos, {work.clips:,} clips, {took}"


def _hours(policy: Host, videos: int) -> float:
    """Hours until the last video may begin; 0 where nothing holds them up."""
    by_rate = max(0, videos - policy.burst) / policy.videos_per_hour if policy.videos_per_hour else 0.0
    by_rest = max(0, videos - 1) * sum(policy.sleep_s) / 2 / 3600
    return max(by_rate, by_rest)


def _read_by_rule(recipe: Recipe, clips: int, span_ms: int) -> int:
    kbps = _picture_kbps(recipe.fetch.max_height) + _SERVED_AUDIO_KBPS
    return round((span_ms + clips * _AROUND_MS) * kbps / 8) + clips * _INDEX_BYTES


def _kept_by_rule(recipe: Recipe, clips: int, span_ms: int) -> int:
    fetch = recipe.fetch
    if fetch.profile == "copy":  # from the key frame before the span on, as it is served
        kbps = _picture_kbps(fetch.max_height) + _SERVED_AUDIO_KBPS
        return round((span_ms + clips * _AROUND_MS / 2) * kbps / 8)
    kbps = _picture_kbps(_height(recipe)) * 2 ** ((23 - fetch.crf) / 6)
    if fetch.profile == "small":
        kbps *= min(1.0, fetch.fps / _SOURCE_FPS) ** 0.7
    return round(span_ms * (kbps + fetch.audio_kbps) / 8)


def _height(recipe: Recipe) -> int:
    fetch = recipe.fetch
    return min(fetch.short_side, fetch.max_height) if fetch.profile == "small" else fetch.max_height


def _picture_kbps(lines: int) -> float:
    return float(_KBPS * (lines / _LINES) ** 1.6)


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{max(1, round(hours * 60))} minutes"
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:,.0f} days"


def _size(size: int) -> str:
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = min((len(str(size)) - 1) // 3, len(units) - 1)
    return f"{size / 1000**power:.3g} {units[power]}"
