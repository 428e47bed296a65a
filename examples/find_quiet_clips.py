"""Quiet clips worth a listen: soft in the whole, with one moment that stands out.

python examples/find_quiet_clips.py demo-workspace/workspace
"""

import sys

from valor_data.tables import Tables

QUERY = """
select clip_id, loudness_lufs, momentary_max_lufs, snr_db, silent_share, still_share, caption
from catalog where kept order by loudness_lufs, clip_id limit 5
"""


def main(workspace: str) -> None:
    """Print the five quietest that were kept, quietest first."""
    for row in Tables.open(workspace).sql(QUERY).to_pylist():
        print(
            f"{row['loudness_lufs']:6.1f} LUFS, loudest moment {row['momentary_max_lufs']:6.1f}, "
            f"{row['snr_db']:4.1f} dB above its background, {row['silent_share']:4.0%} silent, "
            f"{row['still_share']:4.0%} still  {row['clip_id']}  {row['caption']}"
        )


if __name__ == "__main__":
    main(sys.argv[1])
