"""What is wrong with a release, as lines, each one beginning with the file."""

from pydantic import ValidationError

_MOST = 1000
_COUNTED = ("released", "videos", "captions", "shards", "bytes", "decoded", "problems")


class Problems:
    """Gathers lines and counts; of very many lines the first are kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts = dict.fromkeys(_COUNTED, 0)

    def tell(self, problem: str) -> None:
        """Keep a problem as one line: names in a broken release may hold anything."""
        self.counts["problems"] += 1
        if len(self.lines) < _MOST:
            self.lines.append(printable(problem))

    def told(self) -> list[str]:
        """All lines, and how many more there were."""
        more = self.counts["problems"] - len(self.lines)
        return [*self.lines, f"... and {more} more"] if more else self.lines


def printable(text: str) -> str:
    """The text on one line, without what moves a terminal's cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def first_line(error: Exception) -> str:
    """What an error says, in one line; of a closed form the key and what is wrong with it."""
    if isinstance(error, ValidationError):
        faults = error.errors()
        more = f", and {len(faults) - 1} keys more" if len(faults) > 1 else ""
        key = ".".join(map(str, faults[0]["loc"]))
        return f"{key}: {faults[0]['msg'][:1].lower()}{faults[0]['msg'][1:]}{more}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
