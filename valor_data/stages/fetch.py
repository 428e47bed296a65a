"""Segments to clips: resolve a video once, cut its spans exactly, probe, hash, put into the store."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from valor_data import layout
from valor_data.errors import ItemError, Reason, RetryableError, without_secrets
from valor_data.media import cut, ffmpeg, probe
from valor_data.recipe import Recipe
from valor_data.records import Clip, Media, Outcome, Status, Video
from valor_data.resolve import Resolved, Resolver
from valor_data.runner import Done, Task
from valor_data.store import Store

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace

# A cut ends on a frame, so a clip is never exactly as long as asked; less than this is no shortfall.
_SHORT_MS = 100


class Fetched(NamedTuple):
    """What one clip's fetch found out."""

    media: Media
    video: Video


class FetchStage:
    """All clips of the tables that this profile still lacks; the clips of one video go together."""

    def __init__(self, recipe: Recipe, root: str) -> None:
        self.name = f"fetch/{recipe.profile}"
        self.attempts = recipe.retry.transient
        self._recipe = recipe
        self._root = root

    def seconds_limit(self, task: Task[Clip]) -> float:
        """Wall-clock limit of a video's clips together."""
        return self._recipe.fetch.clip_seconds_limit * len(task.items)

    def todo(self, workspace: "Workspace") -> tuple[int, Iterator[Task[Clip]]]:
        """Clips without a final outcome of this profile, by video."""
        count, videos = workspace.tables.unfetched(self.name)
        return count, (Task(tuple(clips)) for clips in videos)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Clip]], Iterable[Done[Fetched]]]]:
        """One resolver and one scratch folder a worker."""
        with tempfile.TemporaryDirectory(prefix="valor-data-") as scratch:
            yield _Fetcher(self._recipe, Store.open(self._root), Path(scratch)).fetch

    def save(self, workspace: "Workspace", values: Sequence[Fetched]) -> None:
        """Videos, then media; the runner writes the ledger after them."""
        workspace.tables.append({value.video.video_id: value.video for value in values}.values())
        workspace.tables.append([value.media for value in values])


def sweep(workspace: "Workspace") -> int:
    """After a run that did not end well: remove its temporary files and the media objects that no row
    names, and mark clips whose object is gone as failed, so that they are fetched again."""
    removed = workspace.store.sweep_temporary()
    named = workspace.tables.existing_objects()
    lying = set(workspace.store.list(layout.OBJECTS))
    orphans = lying - named
    workspace.store.delete(orphans)
    workspace.tables.append([_lost(key) for key in named - lying])
    return removed + len(orphans)


def _lost(key: str) -> Outcome:
    """The ledger's word that a fetched clip's object is gone, so that it is fetched again."""
    profile, clip_id = layout.parse_object_key(key)
    return Outcome(
        stage=f"fetch/{profile}",
        clip_id=clip_id,
        status=Status.FAILED,
        reason=Reason.LOST,
        message=f"{key} is gone from the store",
        made_by="sweep@1",
    )


class _Fetcher:
    """A worker's handles."""

    def __init__(self, recipe: Recipe, store: Store, scratch: Path) -> None:
        self._recipe, self._store, self._scratch = recipe, store, scratch
        self._encoding = cut.encoding_of(recipe.fetch)
        self._resolver = Resolver(recipe.fetch.max_height)

    def fetch(self, clips: Sequence[Clip]) -> Iterator[Done[Fetched]]:
        """The clips of one video; a fault of one does not touch the others."""
        try:
            resolved = self._resolver.resolve(clips[0].url)
        except (ItemError, RetryableError) as error:
            yield from (Done(clip.clip_id, error=error) for clip in clips)
            return
        video = _video(clips[0], resolved)
        for clip in clips:
            try:
                yield Done(clip.clip_id, value=Fetched(self._clip(clip, resolved), video))
            except (ItemError, RetryableError) as error:
                yield Done(clip.clip_id, error=error)

    def _clip(self, clip: Clip, resolved: Resolved) -> Media:
        if resolved.duration_ms is not None and clip.start_ms >= resolved.duration_ms:
            message = f"starts at {clip.start_ms} ms; the video lasts {resolved.duration_ms} ms"
            raise ItemError(Reason.PAST_END, message)
        out = self._scratch / f"{clip.clip_id}.mp4"
        try:
            source = cut.Source.of(resolved)
            limit = self._recipe.fetch.clip_seconds_limit
            done = cut.cut(source, clip.start_ms, clip.end_ms, self._encoding, out, limit)
            return self._keep(clip, resolved, done, out)
        finally:
            out.unlink(missing_ok=True)

    def _keep(self, clip: Clip, resolved: Resolved, done: cut.Cut, out: Path) -> Media:
        seen = probe.probe(out)
        if seen.video_codec is None or seen.first_frame_ms is None:
            raise ItemError(Reason.NO_VIDEO, "the encoded clip shows no frame")
        with out.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = out.stat().st_size
        key = layout.object_key(self._recipe.profile, clip.clip_id)
        self._store.put_file(key, out)
        missing_ms = clip.end_ms - clip.start_ms - seen.duration_ms
        skew = None if seen.first_audio_ms is None else seen.first_audio_ms - seen.first_frame_ms
        return Media(
            clip_id=clip.clip_id,
            profile=self._recipe.profile,
            object_key=key,
            sha256=sha256,
            bytes=size,
            duration_ms=seen.duration_ms,
            video_codec=seen.video_codec,
            width=seen.width,
            height=seen.height,
            fps=seen.fps,
            audio_codec=seen.audio_codec,
            sample_rate=seen.sample_rate,
            channels=seen.channels,
            start_error_ms=done.start_error_ms,
            av_skew_ms=skew,
            short_ms=missing_ms if missing_ms >= _SHORT_MS else 0,
            format_ids="+".join(stream.format_id for stream in resolved.streams),
            made_by=f"{ffmpeg.tool_versions()} {self._resolver.versions}",
        )


def _video(clip: Clip, resolved: Resolved) -> Video:
    return Video(
        video_id=clip.video_id,
        webpage_url=without_secrets(resolved.webpage_url),
        extractor=resolved.extractor,
        title=resolved.title,
        channel_id=resolved.channel_id,
        upload_date=resolved.upload_date,
        licence=resolved.licence,
        duration_ms=resolved.duration_ms,
        made_by=resolved.made_by,
    )
