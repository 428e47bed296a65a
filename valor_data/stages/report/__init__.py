"""A workspace on one page.

facts     what the page tells, asked of the tables in aggregates
sheet     clips drawn by seed: poster frame, spectrogram, caption
measures  how every measure is spread, with the rules' thresholds
parts     the other parts as HTML
write     the page in the workspace
"""

from valor_data.stages.report.write import Reported, report

__all__ = ["Reported", "report"]
