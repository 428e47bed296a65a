"""Ask again what platforms and hosts state of videos, before a release vouches for it."""

import math
import time
from collections.abc import Iterator, Sequence

from valor_data.errors import ItemError, RetryableError
from valor_data.politeness import Hosts, site
from valor_data.recipe import Recipe
from valor_data.records import Clip, Video
from valor_data.stages.fetch.worker import open_fetcher


def restated(recipe: Recipe, root: str, clips: Sequence[Clip]) -> Iterator[Video]:
    """What is stated now of the video of each clip, one after another at the pace of its host; a video
    that cannot be asked, or whose host blocks us, is left out."""
    hosts = Hosts(recipe.hosts)
    with open_fetcher(recipe, root, frozenset()) as fetcher:
        for clip in clips:
            host = site(clip.url)
            ready_at = hosts.ready_at(host, time.monotonic())
            if ready_at == math.inf:
                continue
            time.sleep(max(0.0, ready_at - time.monotonic()))
            begun = time.monotonic()
            hosts.begin(host, begun)
            fault: ItemError | RetryableError | None = None
            try:
                yield fetcher.restated(clip)
            except (ItemError, RetryableError) as error:
                fault = error
            finally:
                hosts.end(host, time.monotonic())
            hosts.heard(host, fault, begun, time.monotonic())
