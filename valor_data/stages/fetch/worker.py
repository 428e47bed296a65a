"""One video's clips: from a mirror that holds them, or resolved, read and cut from the platform."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from valor_data import layout, rights
from valor_data.consent import Consent
from valor_data.errors import ItemError, Kind, Reason, RetryableError, without_secrets
from valor_data.media import copy, cut, ffmpeg, probe
from valor_data.mirrors import Found, Mirrors
from valor_data.recipe import Recipe
from valor_data.records import Clip, Media, Video
from valor_data.resolve import Resolved, Resolver, Stream
from valor_data.runner import Done
from valor_data.store import Store
from valor_data.transfer import Gateway, Remote, Transfer

# A cut ends on a frame, so a clip is never exactly as long as asked; less than this is no shortfall.
_SHORT_MS = 100


class Fetched(NamedTuple):
    """What one clip's fetch found out."""

    media: Media | None
    """None: the clip is refused, and `video` says why."""
    video: Video | None
    """None: a mirror gave the clip, and nobody was asked about the video."""


class _Bytes(NamedTuple):
    """Where a clip's bytes come from, as `Media` tells it."""

    origin: str
    format_ids: str = ""
    condition: str | None = None
    read: int | None = None
    is_clip: bool = False
    """Somebody else cut it."""


@contextmanager
def open_fetcher(recipe: Recipe, root: str, closed_channels: frozenset[str]) -> Iterator["Fetcher"]:
    """A worker's handles, opened; closed with everything that they left in scratch."""
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder, ExitStack() as handles:
        scratch = Path(folder)
        gateway = handles.enter_context(Gateway(scratch, recipe.access, recipe.fetch.most_mb))
        mirrors = handles.enter_context(
            Mirrors(
                recipe.mirrors, scratch,
                most_mb=recipe.fetch.most_mb, limit_s=recipe.fetch.clip_seconds_limit,
            )
        )  # fmt: skip
        yield Fetcher(recipe, Store.open(root), scratch, gateway, mirrors, closed_channels)


class Fetcher:
    """Fetches the clips of one video after another; one a worker."""

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        scratch: Path,
        gateway: Gateway,
        mirrors: Mirrors,
        closed_channels: frozenset[str],
    ) -> None:
        self._recipe, self._store, self._scratch = recipe, store, scratch
        self._gateway, self._mirrors = gateway, mirrors
        self._closed_channels = closed_channels
        self._encoding = cut.encoding_of(recipe.fetch)
        self._resolver = Resolver(recipe.fetch, recipe.access)
        self._consent = Consent(recipe.access, recipe.rights)

    def from_mirrors(self, clips: Sequence[Clip]) -> Iterator[Done[Fetched]]:
        """What the mirrors hold that come before the platform; the rest is left to do."""
        for clip in clips:
            try:
                media = self._mirrored(clip, "before")
            except (ItemError, RetryableError) as error:  # the platform may have it whole
                yield Done(clip.clip_id, error=error, left=True)
                continue
            yield Done(clip.clip_id, value=Fetched(media, None)) if media else Done(clip.clip_id, left=True)

    def from_anywhere(self, clips: Sequence[Clip]) -> Iterator[Done[Fetched]]:
        """From the platform; what it refuses, from the mirrors that come after it."""
        by_id = {clip.clip_id: clip for clip in clips}
        for done in self._from_platform(clips):
            error = done.error
            # The wish of an owner holds wherever the bytes lie.
            final = error is None or error.reason.kind is Kind.POLICY
            yield done if error is None or final else self._second_chance(by_id[done.clip_id], error)

    def restated(self, clip: Clip) -> Video:
        """What is stated now of a clip's video, by the platform and by the host of its media. Raises
        ItemError or RetryableError, also where the recipe requires an answer that nobody gives just now."""
        resolved = self._resolver.resolve(clip.url)
        with (
            self._gateway.video([_remote(stream) for stream in resolved.streams]) as transfer,
            transfer.span(clip.start_ms, clip.end_ms),
        ):
            video = self._video(clip, resolved, transfer.headers)
        if unanswered := self._unanswered(video):
            raise unanswered
        return video

    def _second_chance(self, clip: Clip, refusal: ItemError | RetryableError) -> Done[Fetched]:
        try:
            media = self._mirrored(clip, "after")
        except (ItemError, RetryableError) as fault:
            words = f"{refusal.message}; of the mirrors: {fault}"
            return Done(clip.clip_id, error=type(refusal)(refusal.reason, words, refusal.retry_after_s))
        return Done(clip.clip_id, Fetched(media, None)) if media else Done(clip.clip_id, error=refusal)

    def _mirrored(self, clip: Clip, when: Literal["before", "after"]) -> Media | None:
        """The clip out of the first mirror whose copy can be cut; None: none has it. Raises the first fault
        where all copies have one."""
        fault: ItemError | RetryableError | None = None
        with self._mirrors.find(clip, when) as places:
            for found in places:
                try:
                    return self._from_file(clip, found)
                except (ItemError, RetryableError) as error:
                    fault = fault or error
        if fault:
            raise fault
        return None

    def _from_file(self, clip: Clip, found: Found) -> Media:
        start_ms = 0 if found.is_clip else clip.start_ms
        # A data set's sound beside its picture is for pictures without one.
        apart = found.audio if found.audio and not probe.probe(found.path).audio_codec else None
        source = cut.Source(str(found.path), str(apart) if apart else None)
        told = _Bytes(f"mirror:{found.name}", is_clip=found.is_clip)
        with self._room(clip) as out:
            done = self._cut(source, start_ms, start_ms + clip.end_ms - clip.start_ms, out)
            return self._keep(clip, done, out, told)

    def _from_platform(self, clips: Sequence[Clip]) -> Iterator[Done[Fetched]]:
        """The clips of one video, resolved once; a fault of one does not touch the others."""
        try:
            resolved = self._resolver.resolve(clips[0].url)
        except (ItemError, RetryableError) as error:
            yield from (Done(clip.clip_id, error=error) for clip in clips)
            return
        video = self._video(clips[0], resolved, {})
        if refusal := self._refusal(video):
            yield from (Done(clip.clip_id, Fetched(None, video), refusal) for clip in clips)
            return
        with self._gateway.video([_remote(stream) for stream in resolved.streams]) as transfer:
            for clip in clips:
                try:
                    yield self._transferred(clip, resolved, transfer)
                except (ItemError, RetryableError) as error:
                    yield Done(clip.clip_id, error=error)

    def _transferred(self, clip: Clip, resolved: Resolved, transfer: Transfer) -> Done[Fetched]:
        if resolved.duration_ms is not None and clip.start_ms >= resolved.duration_ms:
            message = f"starts at {clip.start_ms} ms; the video lasts {resolved.duration_ms} ms"
            raise ItemError(Reason.PAST_END, message)
        with self._room(clip) as out:
            with transfer.span(clip.start_ms, clip.end_ms) as span:
                addresses, shifts_us = zip(*span.source, strict=True)
                source = cut.Source(addresses[0], addresses[1] if addresses[1:] else None, shifts_us)
                done = self._cut(source, clip.start_ms, clip.end_ms, out)
            # Only with the first bytes comes what the host of the media says of them.
            video = self._video(clip, resolved, transfer.headers)
            if refusal := self._refusal(video):
                return Done(clip.clip_id, Fetched(None, video), refusal)
            formats = "+".join(stream.format_id for stream in resolved.streams)
            told = _Bytes("platform", formats, resolved.condition, span.bytes_read)
            return Done(clip.clip_id, Fetched(self._keep(clip, done, out, told), video))

    @contextmanager
    def _room(self, clip: Clip) -> Iterator[Path]:
        """A place for the encoded clip until it is in the store."""
        out = self._scratch / f"{clip.clip_id}.mp4"
        try:
            yield out
        finally:
            out.unlink(missing_ok=True)

    def _cut(self, source: cut.Source, start_ms: int, end_ms: int, out: Path) -> cut.Cut:
        limit_s = self._recipe.fetch.clip_seconds_limit
        if self._recipe.fetch.profile == "copy":
            return copy.copy(source, start_ms, end_ms, out, limit_s)
        return cut.cut(source, start_ms, end_ms, self._encoding, out, limit_s)

    def _keep(self, clip: Clip, done: cut.Cut, out: Path, told: _Bytes) -> Media:
        seen = probe.probe(out)
        if seen.video_codec is None or seen.first_frame_ms is None:
            raise ItemError(Reason.NO_VIDEO, "the encoded clip shows no frame")
        if seen.audio_codec is None and self._recipe.fetch.audio_required:
            raise ItemError(Reason.NO_AUDIO, "the clip has no sound, and the recipe requires it")
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
            start_error_ms=None if told.is_clip else done.start_error_ms,
            av_skew_ms=skew,
            short_ms=missing_ms if missing_ms >= _SHORT_MS else 0,
            bytes_read=told.read,
            format_ids=told.format_ids,
            condition=told.condition,
            origin=told.origin,
            made_by=f"{ffmpeg.tool_versions()} {self._resolver.versions}",
        )

    def _video(self, clip: Clip, resolved: Resolved, headers: Mapping[str, str]) -> Video:
        training, training_evidence = self._consent.training(clip.video_id, clip.source)
        return Video(
            video_id=clip.video_id,
            webpage_url=without_secrets(resolved.webpage_url),
            extractor=resolved.extractor,
            title=resolved.title,
            channel_id=resolved.channel_id,
            upload_date=resolved.upload_date,
            licence=resolved.licence,
            licence_evidence=resolved.licence_evidence,
            training=training,
            training_evidence=training_evidence,
            signals=self._consent.signals(resolved.webpage_url, headers),
            duration_ms=resolved.duration_ms,
            made_by=resolved.made_by,
        )

    def _refusal(self, video: Video) -> ItemError | RetryableError | None:
        """The error of a video that its owner, or the recipe's policy on rights, keeps out; one that may
        pass where the recipe wants an answer that nobody could give just now."""
        if video.channel_id in self._closed_channels:
            return ItemError(Reason.OPTED_OUT, f"its channel {video.channel_id} has opted out")
        if unanswered := self._unanswered(video):
            return unanswered
        why = rights.refused(self._recipe.rights, video)
        return ItemError(Reason.NOT_PERMITTED, why) if why else None

    def _unanswered(self, video: Video) -> RetryableError | None:
        required = self._recipe.rights.training == "require"
        why = rights.unanswered(video) if required else None
        return RetryableError(Reason.SERVER_ERROR, why) if why else None


def _remote(stream: Stream) -> Remote:
    return Remote(stream.url, tuple(stream.http_headers.items()), stream.fragments, stream.kind)
