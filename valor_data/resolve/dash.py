"""A manifest whose fragments are ranges of one file is read as that file.

yt-dlp takes a representation without a list of fragments for a plain file, and fails on a list of ranges,
or asks for the whole file once a range. So such a list is taken away before yt-dlp sees it: the file has
an index of its own, or is read from its beginning.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from yt_dlp.extractor.common import InfoExtractor


def install() -> None:
    """Put it before yt-dlp's reader of manifests, for all extractors; once is enough."""
    theirs = InfoExtractor._parse_mpd_periods
    if getattr(theirs, "reads_ranges", False):
        return

    def ours(self: Any, mpd_doc: Element, *args: Any, **options: Any) -> Iterator[Any]:
        whole_files(mpd_doc)
        yield from theirs(self, mpd_doc, *args, **options)

    ours.reads_ranges = True  # type: ignore[attr-defined]
    InfoExtractor._parse_mpd_periods = ours


def whole_files(manifest: Element) -> None:
    """Take away the lists that name ranges of one file, and name the file where only they did."""
    for parent in list(manifest.iter()):
        for listed in [child for child in parent if _name(child) == "SegmentList"]:
            ranges = [one for one in listed if _name(one) == "SegmentURL" and one.get("mediaRange")]
            files = {one.get("media") for one in ranges}
            if not ranges or len(files) != 1:
                continue
            parent.remove(listed)
            (file,) = files
            if file and not any(_name(child) == "BaseURL" for child in parent):
                SubElement(parent, listed.tag.replace("SegmentList", "BaseURL")).text = file


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
