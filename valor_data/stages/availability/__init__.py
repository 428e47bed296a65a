"""What of each list is there and why the rest is not: a manifest to publish beside a paper.

write   the rows as Parquet and CSV
page    the numbers as one HTML file
"""

from valor_data.stages.availability.write import Published, publish

__all__ = ["Published", "publish"]
