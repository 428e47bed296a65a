"""The quietest kept clips of a workspace: `python examples/quiet_clips.py demo-workspace/workspace`."""

import sys

from valor_data.tables import Tables

QUERY = """
select clip_id, round(loudness_lufs, 1) as lufs, round(silent_share, 2) as silent, caption
from catalog where kept order by loudness_lufs limit 5
"""


def main(workspace: str) -> None:
    """Print them, quietest first."""
    for row in Tables.open(workspace).sql(QUERY).to_pylist():
        print(f"{row['lufs']:7.1f} LUFS  {row['silent']:4.0%} silent  {row['clip_id']}  {row['caption']}")


if __name__ == "__main__":
    main(sys.argv[1])
