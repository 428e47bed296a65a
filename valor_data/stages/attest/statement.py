"""The outcome of an attestation in a file that scores can name."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from valor_data import __version__, layout
from valor_data.manifest import Manifest
from valor_data.stages.attest.judging import Judged, State


def statement(release: Manifest, lock_sha256: str, judged: Sequence[Judged]) -> dict[str, Any]:
    """What can be said of the copies: counts, and every clip that is not equivalent. `states_sha256` is over
    all clips, by clip_id; the last key is over all others, so a changed statement shows. No clock, no path:
    the same copies give the same statement.
    """
    counted = Counter(one.state for one in judged)
    ordered = sorted(judged)
    said: dict[str, Any] = {
        "format": 1,
        "release": {
            "name": release.name,
            "version": release.version,
            "content_sha256": release.content_sha256,
            "lock_sha256": lock_sha256,
        },
        "clips": len(judged),
        "counts": {state.value: counted[state] for state in State},
        "states_sha256": layout.digest([[one.clip_id, one.state.value] for one in ordered]),
        "others": [
            {
                name: value
                for name, value in {**one._asdict(), "state": one.state.value}.items()
                if value not in (None, "")
            }
            for one in ordered
            if one.state is not State.EQUIVALENT
        ],
        "tool": f"valor-data {__version__}",
    }
    return {**said, "sha256_of_the_rest": layout.digest(said)}


def render(said: dict[str, Any]) -> bytes:
    """The bytes of the statement's file."""
    return f"{json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()
