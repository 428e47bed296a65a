"""Captions that say something, best first."""

from collections.abc import Iterator

from tqdm import tqdm

from valor_data.search import Entry, Hit, Index
from valor_data.stages.catalog.source import Source, open_source

_OF_CLIP = ("clip_id", "source", "video_id", "split", "labels", "captions")


def find(root: str, query: str, limit: int) -> list[Hit]:
    """The captions of a workspace or release that say most of what a query asks for (`search.query` has
    its language); only such as a release may hold, of clips that may be shown.

    The first search after the captions changed builds an index in the user's cache. Raises UserError for a
    query that cannot be read, and where nothing can be searched.
    """
    with open_source(root) as source:
        index = Index.cached(source.store.root, source.digest, lambda: _entries(source))
    return index.search(query, limit)


def _entries(source: Source) -> Iterator[Entry]:
    with tqdm(desc="index for searching", unit=" captions", delay=2, disable=None) as bar:
        for batch in source.rows(_OF_CLIP):
            for clip, place, video, split, labels, captions in zip(
                *(batch[name].to_pylist() for name in _OF_CLIP), strict=True
            ):
                for said in captions:
                    yield Entry(
                        clip_id=clip,
                        caption_id=said["caption_id"],
                        text=said["text"],
                        author=said["author"],
                        origin=said["origin"],
                        language=said["language"],
                        modalities=said["modalities_seen"],
                        source=place,
                        video_id=video,
                        split=split or "",
                        labels=tuple(labels),
                    )
                bar.update(len(captions))
