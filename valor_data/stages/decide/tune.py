"""How a metric is spread over the measured clips, and what each threshold would drop."""

from typing import Any, NamedTuple

from valor_data import layout
from valor_data.rules import Spread, Threshold, spread, thresholds
from valor_data.stages.decide.known import know
from valor_data.stages.decide.page import page
from valor_data.workspace import Workspace

_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Tuning(NamedTuple):
    """One metric, and where the recipe's rules stand on it."""

    metric: str
    spread: Spread
    marks: list[Threshold]
    page: str
    """Path or URL of the page."""

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        found = self.spread
        return {
            "metric": self.metric,
            "clips": found.clips,
            "undefined": found.undefined,
            "quantiles": {f"{share:g}": value for share, value in found.quantiles.items()},
            "bars": [bar._asdict() for bar in found.bars],
            "thresholds": [
                {
                    "at": drop.at,
                    "min_drops": drop.below,
                    "min_drops_share": found.share(drop.below),
                    "max_drops": drop.above,
                    "max_drops_share": found.share(drop.above),
                }
                for drop in found.drops
            ],
            "words": found.words,
            "rules": [mark._asdict() for mark in self.marks],
            "page": self.page,
        }

    def lines(self) -> list[str]:
        """For people: quantiles, then a bar and the drops of each threshold; or the clips of each word."""
        found = self.spread
        lines = [f"{self.metric}: {found.clips:,} measured clips, {found.undefined:,} without a value"]
        if found.undefined:
            lines[0] += ' (which a rule rejects too, unless it says missing = "keep")'
        if found.clips and found.undefined == found.clips:
            lines.append("nothing to show; is what measures it in the recipe, and has 'filter' run since?")
        lines += self._of_numbers() if found.bars else self._of_words()
        return [*lines, f"page: {self.page}"]

    def _of_numbers(self) -> list[str]:
        found = self.spread
        lines = ["  ".join(f"{share:.0%} {value:.4g}" for share, value in found.quantiles.items())]
        lines.append(
            f"{'threshold':>12}  {'clips up to the next':<{_WIDTH + 10}} {'min drops':>16} {'max drops':>17}"
        )
        heights = {bar.low: bar.clips for bar in found.bars}
        most = max(heights.values())
        for drop in found.drops:
            clips = heights.get(drop.at)
            shown = f"{_bar(clips, most):<{_WIDTH}} {clips:>9,}" if clips is not None else " " * (_WIDTH + 10)
            drops = "  ".join(f"{count:>9,} {found.share(count):>6.1%}" for count in drop[1:])
            told = "".join(f"  <- {mark.end} of {mark.reason}" for mark in self.marks if mark.at == drop.at)
            lines.append(f"{drop.at:>12.6g}  {shown}{drops}{told}")
        return lines

    def _of_words(self) -> list[str]:
        found = self.spread
        ranked = sorted(found.words.items(), key=lambda item: (-item[1], item[0]))
        most = max(found.words.values(), default=0)
        return [
            f"  {word:<20} {_bar(clips, most):<{_WIDTH}} {clips:>9,} {found.share(clips):>6.1%}"
            for word, clips in ranked
        ]


def tune(workspace: Workspace, metric: str) -> Tuning:
    """The spread of a metric over all measured clips; its page is written into the workspace.

    Raises ValueError for a metric that there is not.
    """
    known = know(workspace, (), [metric])
    marks = thresholds(workspace.recipe.effective_rules, metric)
    found = spread(known.columns[metric], [mark.at for mark in marks])
    key = layout.tune_key(metric)
    told: dict[float, str] = {}
    for mark in marks:
        told[mark.at] = ", ".join(filter(None, [told.get(mark.at), f"{mark.end} of {mark.reason}"]))
    workspace.store.put_bytes(key, page(metric, found, told).encode())
    return Tuning(metric, found, marks, f"{workspace.root.rstrip('/')}/{key}")


def _bar(clips: int, most: int) -> str:
    eighths = round(clips / most * _WIDTH * 8) if most else 0
    if clips and not eighths:
        eighths = 1  # a few clips among very many are seen too
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
