"""Plots as text: well-formed, told in words, what others wrote made harmless; and the parts of pages."""

import re
from xml.etree import ElementTree

import pytest

from valor_data.page import escaped, page, share, table
from valor_data.plots import Mark, bars, curves, histogram

NASTY = 'A\x00 <script>alert(1)</script> & "x" \u202e\u05e9\u05dc\u05d5\u05dd \ud800'
SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg.encode())
    told, about = root.attrib["aria-labelledby"].split()
    assert root.find(f"{SVG}title").attrib["id"] == told  # type: ignore[union-attr]
    assert root.find(f"{SVG}desc").attrib["id"] == about  # type: ignore[union-attr]
    return root


def words(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_histogram_stands_alone_and_says_what_it_shows() -> None:
    marks = [Mark(-55, "inaudible below -55: 0.1 %"), Mark(-90, "beyond")]
    svg = histogram("loudness", [-60, -40, -20], [1, 999_999], unit="LUFS", marks=marks, missing=7)
    root = parsed(svg)
    about = root.findtext(f"{SVG}desc") or ""
    for told in (
        "1,000,000 clips",
        "-60 to -20 LUFS",
        "7 clips without a value",
        "inaudible below -55: 0.1 %",
    ):
        assert told in about
    assert {"LUFS", "clips", "inaudible below -55: 0.1 %", "← beyond"} <= set(words(root))
    few, many = (float(rect.attrib["height"]) for rect in root.iter(f"{SVG}rect"))
    assert few == 1  # a few among very many are seen too
    assert many > 100
    lines = [path.attrib["d"] for path in root.iter(f"{SVG}path") if path.attrib["class"] == "m"]
    left, within = (float(re.match(r"M([\d.]+)", line)[1]) for line in lines)  # type: ignore[index]
    rects = [float(rect.attrib["x"]) for rect in root.iter(f"{SVG}rect")]
    assert left == rects[0]
    assert within == pytest.approx(rects[0] + (rects[1] - rects[0]) / 4, abs=0.2)
    assert svg == histogram("loudness", [-60, -40, -20], [1, 999_999], unit="LUFS", marks=marks, missing=7)


def test_marks_that_are_close_do_not_write_over_one_another() -> None:
    marks = [Mark(at, f"threshold of rule {at}") for at in (50, 51, 52)]
    root = parsed(histogram("x", [0, 100], [5], marks=marks))
    rows = [text.attrib["y"] for text in root.iter(f"{SVG}text") if "threshold" in (text.text or "")]
    assert len(set(rows)) == 3


def test_curves_end_where_they_end_and_names_keep_apart() -> None:
    series = {"falls <fast>": [4.0, 1.0, 0.1], "falls": [4.0, 2.0, 0.12]}
    root = parsed(curves("loss", [0, 50, 100], series, unit="steps", of="loss"))
    assert "falls from 4 to 0.12" in (root.findtext(f"{SVG}desc") or "")
    first, second = (path.attrib["d"] for path in root.iter(f"{SVG}path") if path.attrib["class"] == "c")
    points = [tuple(map(float, point.split())) for point in first[1:].split("L")]
    assert points[0][1] == 22  # the most that there is stands at the top
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2)
    assert points[0][1] < points[1][1] < points[2][1]
    assert first != second
    named = [float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if "falls" in (text.text or "")]
    assert abs(named[0] - named[1]) >= 15
    with pytest.raises(ValueError, match="a value at each of the 3"):
        curves("loss", [0, 1, 2], {"short": [1.0]}, unit="steps", of="loss")
    with pytest.raises(ValueError, match="5 curves"):
        curves("loss", [0, 1], {str(n): [1.0, 2.0] for n in range(5)}, unit="steps", of="loss")


@pytest.mark.parametrize(("edges", "counts"), [([0, 1], [1, 2]), ([1, 1], [1]), ([2, 1, 3], [1, 1])])
def test_edges_and_counts_must_fit(edges: list[float], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="edges that rise"):
        histogram("x", edges, counts)


def test_plots_of_nothing_say_so() -> None:
    assert "no value" in words(parsed(histogram("x", [], [], missing=3)))
    assert "no value" in words(parsed(histogram("x", [0, 1], [0])))
    assert "no clips" in words(parsed(bars("x", [])))


def test_names_in_bars_are_harmless_and_cut() -> None:
    root = parsed(bars(NASTY, [(NASTY, 2), ("y" * 10_000, 1)]))
    assert any(text.startswith("A\ufffd <script>") for text in words(root))
    assert max(map(len, words(root))) < 40
    assert len(root.findtext(f"{SVG}title") or "") <= 100


def test_text_of_others_is_escaped_in_pages() -> None:
    made = page(
        NASTY, escaped(NASTY), table(NASTY, ["a", "b"], [[escaped(NASTY), "1"]]), links=[("x", NASTY)]
    )
    assert "<script" not in made
    assert "\x00" not in made
    assert made.encode()  # no lone surrogate is left
    assert escaped("x" * 10, 4) == "xxx…"


def test_a_share_says_neither_all_nor_none_where_it_is_not_so() -> None:
    assert [share(part, 10_000) for part in (0, 1, 5000, 9_999, 10_000)] == [
        "0 %", "under 0.1 %", "50.0 %", "over 99.9 %", "100 %",
    ]  # fmt: skip
    assert share(0, 0) == "0 %"
