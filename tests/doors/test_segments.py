"""Segment lists on disk: every form, encoding and fault that they come with."""
# ruff: noqa: RUF001 - captions in the scripts of the world are the matter here

import bz2
import csv
import functools
import gzip
import http.server
import io
import json
import lzma
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data import layout
from valor_data.errors import UserError
from valor_data.recipe import FORMS, ListSpec
from valor_data.records import Segment
from valor_data.segments import Bad, SegmentReader, detect, open_list
from valor_data.segments.columns import COLUMNS

AUDIOSET = "# Segments\n# num_ytids=2\n# YTID, start_seconds, end_seconds, positive_labels\n"
KOREAN = [
    "한 남자가 빗속에서 우산을 쓰고 걸어가며 빗소리가 들린다.",
    "강아지가 짖는 소리와 함께 아이가 웃는다.",
    "무대 위에서 여자가 노래를 부르고 관객이 박수를 친다.",
    "기차가 경적을 울리며 역을 지나간다.",
    "새 소리",
]
JAPANESE = [
    "雨の中で男が傘をさして歩いている音がする。",
    "犬が吠えて子供が笑っている。",
    "女性がステージで歌い、観客が拍手する。",
    "電車が警笛を鳴らして駅を通過する。",
]
CHINESE = [
    "一个男人在雨中撑着伞走路，能听到雨声。",
    "一只狗在叫，孩子在笑。",
    "舞台上的女人在唱歌，观众鼓掌。",
    "火车鸣笛驶过车站。",
]
TAIWANESE = ["一個男人在雨中撐著傘走路，能聽到雨聲。", "舞台上的女人在唱歌，觀眾鼓掌。"]
FRENCH = ["Un homme joue de la guitare près de la fenêtre.", "Une fille crie très fort à l'école."]
GERMAN = ["Ein Mädchen spielt Flöte, während der Hund bellt.", "Straßenlärm und Vögel sind zu hören."]
RUSSIAN = ["Мужчина идёт под дождём с зонтом, слышен дождь.", "Собака лает, ребёнок смеётся."]
QUOTED = ["The man’s dog barks — “loudly”."]


relaxed = settings(deadline=None)  # the first example of a form pays for its imports


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    def write(content: str | bytes, name: str = "list.csv", encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return write


def opened(path: str, seconds: float = 10.0, **spec: Any) -> SegmentReader:
    return open_list(ListSpec(path=path, **spec), seconds)


def good(rows: Iterable[Segment | Bad]) -> list[Segment]:
    rows = list(rows)
    assert [row for row in rows if isinstance(row, Bad)] == []
    return [row for row in rows if isinstance(row, Segment)]


def bad(rows: Iterable[Segment | Bad]) -> list[Bad]:
    return [row for row in rows if isinstance(row, Bad)]


class TestRealLists:
    """Lists as they were released: no row is lost."""

    @pytest.mark.parametrize(
        ("file", "form", "rows", "split", "author"),
        [
            ("valor32k/desc_train.json", "valor-desc", 25_327, "train", "valor"),
            ("valor32k/desc_val.json", "valor-desc", 3_500, "val", "valor"),
            ("valor32k/desc_test.json", "valor-desc", 3_491, "test", "valor"),
            ("audioset/balanced_train_segments.csv", "audioset-csv", 22_160, None, "balanced_train_segments"),
            ("audioset/eval_segments.csv", "audioset-csv", 20_371, None, "eval_segments"),
            ("audiocaps/val.csv", "audiocaps-csv", 2_475, None, "audiocaps"),
            ("audiocaps/test.csv", "audiocaps-csv", 4_875, None, "audiocaps"),
        ],
    )
    def test_every_row_is_read(
        self, real_data: Path, file: str, form: str, rows: int, split: str | None, author: str
    ) -> None:
        reader = opened(str(real_data / "meta" / file))
        assert (reader.form, reader.split, reader.author) == (form, split, author)
        assert len(good(reader)) == rows

    def test_valor_ids_turn_back_into_the_official_ones(self, real_data: Path) -> None:
        path = real_data / "meta/valor32k/desc_train.json"
        raw = json.loads(path.read_text())
        rows = good(opened(str(path)))
        assert [layout.official_id(row.clip_id) for row in rows] == [one["video_id"] for one in raw]
        assert [row.captions for row in rows] == [(("", one["desc"].strip()),) for one in raw]
        assert sum("_" in row.video_id for row in rows) > 3000
        assert sum(row.video_id.startswith("-") for row in rows) > 400

    def test_audioset_labels_are_display_names(self, real_data: Path) -> None:
        rows = good(opened(str(real_data / "meta/audioset/eval_segments.csv")))
        assert rows[0].labels == ("Domestic animals, pets", "Squeak", "Dog", "Animal")
        assert not [label for row in rows for label in row.labels if label.startswith("/")]
        assert (rows[0].line, rows[-1].line) == (4, 20_374)

    def test_audiocaps_keeps_several_captions_a_clip_by_their_ids(self, real_data: Path) -> None:
        rows = good(opened(str(real_data / "meta/audiocaps/test.csv")))
        assert len({row.clip_id for row in rows}) == 975
        assert len({row.captions[0][0] for row in rows}) == 4_875


# Generated lists, written in each form, read back equal.

VIDEO_IDS = st.one_of(
    st.text("abcXYZ019_-", min_size=11, max_size=11),
    st.from_regex(r"-[A-Za-z0-9_-]{10}", fullmatch=True),
    st.from_regex(r"[a-z]{7}_1_2", fullmatch=True),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)
CAPTIONS = st.builds(lambda a, b: f"a{a}\n{b}z", TEXTS, TEXTS)
ONE_LINE = st.builds(lambda a: f"a{a}z", TEXTS)
STARTS = st.integers(0, 20_000_000)
LENGTHS = st.integers(1, 700_000)


def rows_of(captions: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, int, int, str]]]:
    return st.lists(st.tuples(VIDEO_IDS, STARTS, LENGTHS, captions), min_size=1, max_size=8)


def seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def read_back(content: bytes, form: str, length: float = 10.0) -> list[tuple[str, int, int, tuple[str, ...]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_bytes(content)
        reader = opened(str(path), length)
        assert reader.form == form
        return [
            (row.video_id, row.start_ms, row.end_ms - row.start_ms, tuple(text for _, text in row.captions))
            for row in good(reader)
        ]


def wanted(rows: list[tuple[str, int, int, str]]) -> list[tuple[str, int, int, tuple[str, ...]]]:
    return [(video_id, start, length, (text,)) for video_id, start, length, text in rows]


def official(row: tuple[str, int, int, str]) -> str:
    return f"{row[0]}_{seconds(row[1])}_{seconds(row[1] + row[2])}"


class TestRoundTrips:
    @relaxed
    @given(rows_of(CAPTIONS))
    def test_valor_desc(self, rows: list[tuple[str, int, int, str]]) -> None:
        content = json.dumps([{"video_id": official(row), "desc": row[3]} for row in rows])
        assert read_back(content.encode(), "valor-desc") == wanted(rows)

    @relaxed
    @given(rows_of(CAPTIONS), st.booleans())
    def test_annotations(self, rows: list[tuple[str, int, int, str]], info: bool) -> None:
        body: dict[str, Any] = {"info": {"year": 2023}} if info else {}
        body["annotations"] = [{"video_id": official(row), "caption": row[3]} for row in rows]
        assert read_back(json.dumps(body, indent=1).encode(), "valor-desc") == wanted(rows)

    @relaxed
    @given(rows_of(CAPTIONS))
    def test_valor_ids(self, rows: list[tuple[str, int, int, str]]) -> None:
        content = json.dumps([official(row) for row in rows])
        assert read_back(content.encode(), "valor-ids") == [(*row[:3], ()) for row in rows]

    @relaxed
    @given(rows_of(CAPTIONS))
    def test_valor_mapper(self, rows: list[tuple[str, int, int, str]]) -> None:
        content = json.dumps({official(row): [row[3], "two"] for row in rows}, ensure_ascii=False)
        kept = {official(row): row for row in rows}.values()
        assert read_back(content.encode(), "valor-mapper") == [(*row[:3], (row[3], "two")) for row in kept]

    @relaxed
    @given(rows_of(st.just("")), st.booleans())
    def test_audioset(self, rows: list[tuple[str, int, int, str]], comments: bool) -> None:
        body = "".join(
            f'{video_id}, {seconds(start)}, {seconds(start + length)}, "/m/09x0r,/t/dd00088"\n'
            for video_id, start, length, _ in rows
        )
        content = (AUDIOSET if comments else "") + body
        assert read_back(content.encode(), "audioset-csv") == [(*row[:3], ()) for row in rows]

    @relaxed
    @given(rows_of(CAPTIONS))
    def test_audiocaps(self, rows: list[tuple[str, int, int, str]]) -> None:
        fields = [[i, row[0], seconds(row[1]), row[3]] for i, row in enumerate(rows)]
        content = delimited([["audiocap_id", "youtube_id", "start_time", "caption"], *fields], ",")
        assert read_back(content, "audiocaps-csv", 2.5) == wanted([(*row[:2], 2500, row[3]) for row in rows])

    @relaxed
    @given(st.lists(st.tuples(VIDEO_IDS, STARTS), min_size=1, max_size=8))
    def test_vggsound(self, rows: list[tuple[str, int]]) -> None:
        content = delimited([[row[0], seconds(row[1]), "singing, choir", "test"] for row in rows], ",")
        assert read_back(content, "vggsound-csv") == [(*row, 10_000, ()) for row in rows]

    @relaxed
    @given(rows_of(CAPTIONS), st.sampled_from(",\t;|"), st.sampled_from(["\n", "\r\n"]))
    def test_table(self, rows: list[tuple[str, int, int, str]], delimiter: str, line_end: str) -> None:
        fields = [[row[0], seconds(row[1]), seconds(row[1] + row[2]), row[3]] for row in rows]
        content = delimited([["video_id", "start", "end", "caption"], *fields], delimiter, line_end)
        assert read_back(content, "table") == wanted(rows)

    @relaxed
    @given(rows_of(CAPTIONS))
    def test_jsonl(self, rows: list[tuple[str, int, int, str]]) -> None:
        objects = [
            {"url": layout.youtube_url(row[0]), "start_ms": row[1], "duration_ms": row[2], "caption": row[3]}
            for row in rows
        ]
        lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in objects)
        assert read_back(lines.encode(), "jsonl") == wanted(rows)
        assert read_back(json.dumps(objects).encode(), "jsonl") == wanted(rows)

    @settings(max_examples=25, deadline=None)
    @given(rows_of(CAPTIONS))
    def test_parquet(self, rows: list[tuple[str, int, int, str]]) -> None:
        columns = list(zip(*rows, strict=True))
        buffer = io.BytesIO()
        table = {
            "ytid": columns[0],
            "start_seconds": [start / 1000 for start in columns[1]],
            "length_s": [length / 1000 for length in columns[2]],
            "captions": [[text] for text in columns[3]],
        }
        pq.write_table(pa.table(table), buffer)
        assert read_back(buffer.getvalue(), "parquet") == wanted(rows)

    @relaxed
    @given(st.lists(st.tuples(VIDEO_IDS, st.integers(0, 9999)), min_size=1, max_size=8))
    def test_urls(self, rows: list[tuple[str, int]]) -> None:
        shapes = ["https://youtu.be/{}?t={}", "https://www.youtube.com/watch?v={}&start={}s"]
        lines = [shapes[i % 2].format(*row) for i, row in enumerate(rows)]
        found = read_back("\n".join(lines).encode(), "urls")
        assert found == [(row[0], row[1] * 1000, 10_000, ()) for row in rows]

    @relaxed
    @given(rows_of(ONE_LINE), st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]))
    def test_unicode_encodings(self, rows: list[tuple[str, int, int, str]], encoding: str) -> None:
        fields = [[row[0], seconds(row[1]), seconds(row[1] + row[2]), row[3]] for row in rows]
        text = delimited([["video_id", "start", "end", "caption"], *fields], ",").decode()
        if encoding in ("utf-16-le", "utf-16-be"):
            text = "".join(char if char < "\u0100" else "x" for char in text)  # no mark: told by ASCII alone
            rows = [(*row[:3], "".join(c if c < "\u0100" else "x" for c in row[3])) for row in rows]
        assert read_back(text.encode(encoding), "table") == wanted(rows)


def delimited(rows: list[list[Any]], delimiter: str, line_end: str = "\n") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return buffer.getvalue().encode()


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "captions"),
        [
            ("cp949", KOREAN), ("euc_kr", KOREAN), ("cp932", JAPANESE), ("shift_jis", JAPANESE),
            ("euc_jp", JAPANESE), ("gb18030", CHINESE), ("gbk", CHINESE), ("big5", TAIWANESE),
            ("latin-1", FRENCH), ("cp1252", GERMAN), ("cp1252", QUOTED), ("cp1251", RUSSIAN),
            ("koi8_r", RUSSIAN),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("together", [True, False], ids=["list", "one row"])
    def test_legacy_text_is_recognised_even_from_one_row(
        self, save: Callable[..., str], encoding: str, captions: list[str], together: bool
    ) -> None:
        for some in [captions] if together else [[caption] for caption in captions]:
            rows = [["abcdefghij_", "0", "10", caption] for caption in some]
            content = delimited([["youtube_id", "start", "end", "caption"], *rows], ",").decode()
            reader = opened(save(content, encoding=encoding))
            assert [row.captions[0][1] for row in good(reader)] == some

    def test_korean_desc_json_in_cp949(self, save: Callable[..., str]) -> None:
        rows = [{"video_id": f"abcdefghij{i}_0.000_10.000", "desc": text} for i, text in enumerate(KOREAN)]
        reader = opened(save(json.dumps(rows, ensure_ascii=False), "desc_val.json", "cp949"))
        assert (reader.form, reader.encoding, reader.split) == ("valor-desc", "cp949", "val")
        assert [row.captions[0][1] for row in good(reader)] == KOREAN

    def test_legacy_text_far_behind_the_head(self, save: Callable[..., str]) -> None:
        ascii_rows = "".join(f"abcdefghij_,{i},{i + 1},plain text\n" for i in range(100_000))
        content = "youtube_id,start,end,caption\n" + ascii_rows + f"abcdefghij_,0,10,{KOREAN[0]}\n"
        reader = opened(save(content, encoding="cp949"))
        assert reader.encoding == "cp949"
        assert list(reader)[-1].captions[0][1] == KOREAN[0]  # type: ignore[union-attr]

    def test_a_damaged_byte_in_utf8_costs_its_row_alone(self, save: Callable[..., str]) -> None:
        lines = ["youtube_id,start,end,caption"] + [f"abcdefghij_,{i},20,{KOREAN[i]}" for i in range(4)]
        content = "\n".join(lines).encode().replace("강".encode(), b"\xff\xfe")
        rows = list(opened(save(content)))
        assert len(rows) == 4
        [fault] = bad(rows)
        assert (fault.line, "not valid in the list's encoding" in fault.reason) == (3, True)
        assert "\ufffd" in fault.text
        fault.text.encode()

    def test_a_damaged_byte_in_cp949_costs_its_row_alone(self, save: Callable[..., str]) -> None:
        lines = ["youtube_id,start,end,caption"] + [f"abcdefghij_,{i},20,{KOREAN[i]}" for i in range(4)]
        content = "\n".join(lines).encode("cp949").replace("강".encode("cp949"), b"\xff")
        reader = opened(save(content))
        assert (reader.encoding, [fault.line for fault in bad(reader)]) == ("cp949", [3])

    def test_a_damaged_label_in_audiosets_form_is_a_bad_row(self, save: Callable[..., str]) -> None:
        rows = 'abcdefghij_, 0, 10, "강아지"\n' * 3
        content = rows.encode() + b'abcdefghij_, 0, 10, "/m/09x0r\xff"\n'
        assert [fault.line for fault in bad(opened(save(content)))] == [4]

    def test_the_recipes_word_wins_over_the_guess(self, save: Callable[..., str]) -> None:
        content = "youtube_id,start,end,caption\nabcdefghij_,0,10,Kůň úpěl ďábelské ódy\n"
        reader = opened(save(content, encoding="cp1250"), encoding="cp1250")
        assert good(reader)[0].captions[0][1] == "Kůň úpěl ďábelské ódy"

    def test_a_byte_order_mark_wins_over_the_recipe(self, save: Callable[..., str]) -> None:
        content = f"youtube_id,start,end,caption\nabcdefghij_,0,10,{KOREAN[0]}\n"
        reader = opened(save(content, encoding="utf-8-sig"), encoding="cp949")
        assert good(reader)[0].captions[0][1] == KOREAN[0]

    @pytest.mark.parametrize("name", ["klingon", "hex", "rot13"])
    def test_an_unknown_encoding_is_told(self, save: Callable[..., str], name: str) -> None:
        with pytest.raises(UserError, match=rf"list\.csv: unknown encoding '{name}'"):
            opened(save("youtube_id\nabcdefghij_\n"), encoding=name)

    def test_text_that_fits_no_known_encoding_asks_for_its_name(self, save: Callable[..., str]) -> None:
        content = "youtube_id,start,end,caption\nabcdefghij_,0,10,เสียงสุนัขเห่าในบ้านตอนกลางคืน\n"
        with pytest.raises(UserError, match=r'list\.csv: .*encoding = "\.\.\."'):
            opened(save(content, encoding="cp874"))

    def test_half_a_character_in_a_json_escape_is_a_bad_row(self, save: Callable[..., str]) -> None:
        content = r'[{"video_id": "abcdefghij__0.000_1.000", "desc": "a \ud83d b"}]'
        [fault] = bad(opened(save(content)))
        assert "half a character" in fault.reason


class TestPacking:
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    @pytest.mark.parametrize("name", ["list.csv.gz", "misleading.txt"])
    def test_packed_lists_are_known_by_their_bytes(
        self, save: Callable[..., str], pack: Callable[[bytes], bytes], name: str
    ) -> None:
        content = (AUDIOSET + 'abcdefghij_, 0.000, 10.000, "/m/09x0r"\n').encode()
        reader = opened(save(pack(content), name))
        assert (reader.form, good(reader)[0].labels) == ("audioset-csv", ("Speech",))

    def test_a_torn_gzip_is_told_at_opening(self, save: Callable[..., str]) -> None:
        body = "".join(f"abcdefghij_,{i},{i + 1},text {i * i}\n" for i in range(50_000))
        content = gzip.compress(("youtube_id,start,end,caption\n" + body).encode())
        with pytest.raises(UserError, match=r"torn\.gz: not readable: .*whole"):
            opened(save(content[: len(content) // 2], "torn.gz"))

    def test_the_digest_is_of_the_raw_file(self, save: Callable[..., str]) -> None:
        import hashlib

        content = gzip.compress(b"youtube_id,start\nabcdefghij_,0\n", mtime=0)
        assert opened(save(content)).sha256 == hashlib.sha256(content).hexdigest()


class TestForms:
    @pytest.mark.parametrize(
        ("content", "form"),
        [
            (AUDIOSET + 'abcdefghij_, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n', "audioset-csv"),
            ('abcdefghij_,30.000,40.000,"/m/09x0r"\r\n', "audioset-csv"),
            ("YTID,start_seconds,end_seconds,positive_labels\nabcdefghij_,1,2,/m/09x0r\n", "table"),
            ("abcdefghij_,30,dog barking,train\n", "vggsound-csv"),
            ('abcdefghij_,30,"singing, choir",test\n', "vggsound-csv"),
            ("audiocap_id,youtube_id,start_time,caption\n1,abcdefghij_,30,A dog\n", "audiocaps-csv"),
            ("youtube_id\tstart_time\tcaption\nabcdefghij_\t30\tA dog\n", "table"),
            ("url\nhttps://example.org/a.mp4\n", "table"),
            ("https://example.org/a.mp4\nabcdefghij_\n", "urls"),
            ("# mine\n-bcdefghij_\n", "urls"),
            ("youtu.be/abcdefghij_\n", "urls"),
            ("https://example.org/a,b.mp4\n", "urls"),
            ('{"video_id": "abcdefghij_", "start": 1}\n{"video_id": "abcdefghij_", "start": 2}\n', "jsonl"),
            ('{"url": "https://example.org/a.mp4"}', "jsonl"),
            ('[{"video_id": "abcdefghij__1.000_2.000", "desc": "x"}]', "valor-desc"),
            ('\ufeff[{"video_id": "abcdefghij__1.000_2.000", "desc": "x"}]', "valor-desc"),
            ('[{"video_id": "abcdefghij_", "start": 1, "caption": "x"}]', "jsonl"),
            ('["abcdefghij__1.000_2.000"]', "valor-ids"),
            ('{"abcdefghij__1.000_2.000": ["x", "y"]}', "valor-mapper"),
            ('{"annotations": [{"video_id": "abcdefghij__1.000_2.000", "caption": "x"}]}', "valor-desc"),
        ],
    )
    def test_the_form_is_told_by_content(self, save: Callable[..., str], content: str, form: str) -> None:
        path = save(content, "list.dat")
        assert detect(path) == form
        assert opened(path).form == form
        assert good(opened(path))
        assert form in FORMS

    def test_a_first_row_that_is_bad_does_not_mislead(self, save: Callable[..., str]) -> None:
        rows = '#NAME?, 0.000, 10.000, "/m/09x0r"\n' + 'abcdefghij_, 0.000, 10.000, "/m/09x0r"\n' * 3
        reader = opened(save(rows))
        assert reader.form == "audioset-csv"
        assert len(bad(reader)) == 1

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "the file is empty"),
            (b"\n \n\n", "holds no rows"),
            (AUDIOSET.encode(), "holds no rows"),
            (b"# one\n# two\n", "holds no rows"),
            (b"url,start\n", "holds no rows"),
            (b"[]", "holds no rows"),
            (b"{}", "holds no rows"),
            (b'{"annotations": []}', "holds no rows"),
            (b"\xef\xbb\xbf", "holds no rows"),
            (b"<!DOCTYPE html>\n<html>log in</html>", "web page"),
            (b"\n  <html>", "web page"),
            (b"PK\x03\x04rest", "Excel"),
            (b"%PDF-1.7 rest", "PDF"),
            (b"\x00\x00\x00\x20ftypisom" + bytes(100), "a video"),
            (bytes(range(256)) * 40, "binary data"),
            (b"\x7fELF" + bytes(2000), "binary data"),
            (b"PAR1 and then nothing", "not readable as Parquet"),
            (b"index,mid,display_name\n0,/m/09x0r,Speech\n", "known: audioset-csv, .*urls"),
            (b"https://example.org/a.mp4,0,10\n", "Add a header line"),
            (b'[{"name": "x"}]', "names no video|name no video"),
            (b'{"name": "x"}', "names no video"),
            (b"[[1, 2]]", "name no video"),
            (b"[3]", "name no video"),
            (b'{\n "video_id": "abcdefghij_"\n}', "one object a line"),
            (b"x" * 70_000, "not recognised"),
        ],
    )
    def test_what_is_no_list_is_told_with_its_name(
        self, save: Callable[..., str], content: bytes, why: str
    ) -> None:
        path = save(content, "odd.csv")
        with pytest.raises(UserError, match=rf"(?s)odd\.csv: .*({why})") as caught:
            opened(path)
        assert "\n" not in str(caught.value)

    def test_a_tar_inside_gzip_is_told(self, save: Callable[..., str]) -> None:
        header = b"list.csv".ljust(257, b"\0") + b"ustar\x0000"
        with pytest.raises(UserError, match="tar archive"):
            opened(save(gzip.compress(header.ljust(1024, b"\0")), "list.tar.gz"))

    @pytest.mark.parametrize("form", [form for form in FORMS if form != "parquet"])
    def test_a_forced_form_reads_or_refuses_but_never_crashes(
        self, save: Callable[..., str], form: str
    ) -> None:
        for content in (
            "abc\n",
            '[{"a": 1}]',
            '{"a": 1}',
            "[1]",
            '"',
            "url\nx\n",
            "{",
            "[1,",
            "[1] 2",
            "\x1b\n",
        ):
            try:
                rows = list(opened(save(content), form=form))
            except UserError as error:
                if "list.csv" not in str(error):
                    raise
            else:
                assert rows
                assert bad(rows) == rows

    def test_forced_parquet_and_parquet_forced_otherwise(
        self, save: Callable[..., str], tmp_path: Path
    ) -> None:
        with pytest.raises(UserError, match="no Parquet file"):
            opened(save("url\nhttps://example.org/a.mp4\n"), form="parquet")
        pq.write_table(pa.table({"url": ["https://example.org/a.mp4"]}), tmp_path / "x.csv")
        assert opened(str(tmp_path / "x.csv")).form == "parquet"
        with pytest.raises(UserError, match="this is a Parquet file"):
            opened(str(tmp_path / "x.csv"), form="table")

    def test_a_missing_file_and_a_folder_are_told(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"gone\.csv: no such file"):
            opened(str(tmp_path / "gone.csv"))
        with pytest.raises(UserError, match="not a regular file"):
            opened(str(tmp_path))
        with pytest.raises(UserError, match="not readable"):
            opened(str(tmp_path / ("x" * 5000)))


class TestTables:
    def one(self, save: Callable[..., str], header: str, row: str, seconds: float = 10.0) -> Segment | Bad:
        [only] = opened(save(f"{header}\n{row}\n"), seconds)
        return only

    def test_every_column(self, save: Callable[..., str]) -> None:
        row = self.one(
            save,
            "Video ID,URL,Start Time,duration,Caption_1,caption 2,caption10,labels,subset,license",
            'clip7,https://example.org/v.mp4,00:01:30.5,2.25,one,two,ten,"dog; cat|/m/09x0r",Valid,CC BY',
        )
        assert row == Segment(
            2, "clip7_90500_92750", "url", "clip7", 90_500, 92_750, "https://example.org/v.mp4",
            ("dog", "cat", "Speech"), (("", "one"), ("", "two"), ("", "ten")), "val", "CC BY",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "ms"),
        [
            ("30", 30_000), ("0", 0), ("1.2345", 1_234), ("1.0006", 1_001), ("1e1", 10_000),
            ("01:02", 62_000), ("75:30", 4_530_000), ("01:02:03.004", 3_723_004), ("00:00:01,500", 1_500),
            ("9:59:59", 35_999_000), (" 5 ", 5_000),
        ],
    )  # fmt: skip
    def test_times(self, save: Callable[..., str], text: str, ms: int) -> None:
        row = self.one(save, "youtube_id;start", f"abcdefghij_;{text}")
        assert isinstance(row, Segment)
        assert row.start_ms == ms

    @pytest.mark.parametrize(
        "text",
        ["nan", "inf", "-inf", "-1", "1e400", "10000000", "9999999.9999", "1_0", "abc", "30,5", "1:75",
         "1:2:3:4", "01:75:00", "-0:10", "30s", "9999999:00:00", "0x10"],
    )  # fmt: skip
    def test_times_that_are_none(self, save: Callable[..., str], text: str) -> None:
        fault = self.one(save, "youtube_id;start", f"abcdefghij_;{text}")
        assert isinstance(fault, Bad)
        assert "no time" in fault.reason
        assert fault.text == f"abcdefghij_;{text}"

    @pytest.mark.parametrize(("start", "end"), [("10", "10"), ("10", "9.999"), ("1.0001", "1.0002")])
    def test_an_end_that_is_not_after_the_start(self, save: Callable[..., str], start: str, end: str) -> None:
        fault = self.one(save, "youtube_id,start,end", f"abcdefghij_,{start},{end}")
        assert isinstance(fault, Bad)
        assert "is not after start" in fault.reason

    def test_the_end_is_the_end_else_start_and_duration_else_the_default(
        self, save: Callable[..., str]
    ) -> None:
        rows = "abcdefghij_,10,12,600\nabcdefghij_,10,,3\nabcdefghij_,10,,\n"
        found = good(opened(save("youtube_id,start,end,duration\n" + rows), 7.5))
        assert [row.end_ms for row in found] == [12_000, 13_000, 17_500]

    def test_a_list_without_starts_begins_at_the_videos_beginning(self, save: Callable[..., str]) -> None:
        [row] = good(opened(save("url\nhttps://example.org/v.mp4\n")))
        assert (row.start_ms, row.end_ms) == (0, 10_000)

    def test_a_row_without_its_start_is_bad(self, save: Callable[..., str]) -> None:
        fault = self.one(save, "youtube_id,start", "abcdefghij_,")
        assert isinstance(fault, Bad)
        assert fault.reason == "no start"

    @pytest.mark.parametrize(
        ("clip", "start", "end"),
        [("ab_defghij__30.000_40.500", 30_000, 40_500), ("ab_defghij__30000_40500", 30_000, 40_500)],
    )
    def test_a_clip_id_in_either_form(
        self, save: Callable[..., str], clip: str, start: int, end: int
    ) -> None:
        row = self.one(save, "clip_id,text", f"{clip},a dog")
        assert isinstance(row, Segment)
        assert (row.video_id, row.start_ms, row.end_ms) == ("ab_defghij_", start, end)

    def test_a_clip_id_beside_columns_that_say_more_is_only_a_name(self, save: Callable[..., str]) -> None:
        row = self.one(save, "clip_id,youtube_id,start,end", "clip_0001,abcdefghij_,5,6")
        assert isinstance(row, Segment)
        assert row.clip_id == "abcdefghij__5000_6000"

    @pytest.mark.parametrize(
        ("cells", "labels"),
        [
            ("dog;cat", ("dog", "cat")),
            ("dog | cat", ("dog", "cat")),
            ('"[""dog"", ""cat""]"', ("dog", "cat")),
            ("\"['dog', 'cat']\"", ("dog", "cat")),
            ('"Male speech, man speaking"', ("Male speech, man speaking",)),
            ('"/m/09x0r,/m/05zppz"', ("Speech", "Male speech, man speaking")),
            ("/m/0unknown", ("/m/0unknown",)),
            ("[]", ()),
            ("", ()),
        ],
    )
    def test_labels(self, save: Callable[..., str], cells: str, labels: tuple[str, ...]) -> None:
        row = self.one(save, "youtube_id,start,labels", f"abcdefghij_,0,{cells}")
        assert isinstance(row, Segment)
        assert row.labels == labels

    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("train", "train"),
            ("TRAINING", "train"),
            ("dev", "val"),
            ("valid", "val"),
            ("eval", "test"),
            ("", None),
        ],
    )
    def test_splits(self, save: Callable[..., str], name: str, split: str | None) -> None:
        row = self.one(save, "youtube_id,start,split", f"abcdefghij_,0,{name}")
        assert isinstance(row, Segment)
        assert row.split == split

    def test_an_unknown_split_is_a_bad_row(self, save: Callable[..., str]) -> None:
        fault = self.one(save, "youtube_id,start,split", "abcdefghij_,0,holdout")
        assert isinstance(fault, Bad)
        assert "unknown split 'holdout'" in fault.reason

    def test_columns_that_nobody_reads_are_listed_once(self, save: Callable[..., str]) -> None:
        reader = opened(save("youtube_id,start,mood,caption,text\nabcdefghij_,0,sad,one,two\n"))
        assert reader.ignored_columns == ("mood", "text")
        assert good(reader)[0].captions == (("", "one"),)
        assert list(reader) == list(reader)
        assert reader.ignored_columns == ("mood", "text")

    def test_a_column_that_stands_twice_is_refused(self, save: Callable[..., str]) -> None:
        with pytest.raises(UserError, match="column 'start' stands twice"):
            opened(save("youtube_id,start,start\nabcdefghij_,0,1\n"))

    def test_a_hash_in_the_first_column_of_a_table_is_data(self, save: Callable[..., str]) -> None:
        reader = opened(save("# made by hand\n\ncaption,youtube_id,start\n#1 fan cheers,abcdefghij_,0\n"))
        [row] = good(reader)
        assert (row.line, row.captions) == (4, (("", "#1 fan cheers"),))

    def test_our_own_clips_table_reads_back(self, tmp_path: Path) -> None:
        pq.write_table(
            pa.table(
                {
                    "clip_id": ["my-0123456789ab_5_10"], "source": ["url"], "video_id": ["my-0123456789ab"],
                    "start_ms": [5], "end_ms": [10],
                    "url": ["https://example.org/my.mp4"], "labels": [["dog"]],
                    "licence": [None], "made_by": ["list:x"], "made_at_us": [7],
                }
            ),
            tmp_path / "clips.parquet",
        )  # fmt: skip
        reader = opened(str(tmp_path / "clips.parquet"))
        assert good(reader) == [
            Segment(
                1,
                "my-0123456789ab_5_10",
                "url",
                "my-0123456789ab",
                5,
                10,
                "https://example.org/my.mp4",
                ("dog",),
            )
        ]
        assert reader.ignored_columns == ("source", "made_by", "made_at_us")


class TestAddresses:
    @pytest.mark.parametrize(
        ("line", "source", "video_id", "url", "start"),
        [
            ("-bcdefghij_", "youtube", "-bcdefghij_", "https://www.youtube.com/watch?v=-bcdefghij_", 0),
            ("https://m.youtube.com/watch?v=abcdefghij_&t=1m30s", "youtube", "abcdefghij_", None, 90_000),
            ("https://youtu.be/abcdefghij_?t=90", "youtube", "abcdefghij_", None, 90_000),
            ("https://youtube.com/embed/abcdefghij_?start=5&end=8", "youtube", "abcdefghij_", None, 5_000),
            ("http://example.org/v.mp4#t=12.5,20", "url", None, "http://example.org/v.mp4", 12_500),
            ("http://example.org/v#/page", "url", None, "http://example.org/v#/page", 0),
            ("https://example.org/v?t=secret", "url", None, "https://example.org/v?t=secret", 0),
        ],
    )  # fmt: skip
    def test_a_line_of_a_list_of_addresses(
        self,
        save: Callable[..., str],
        line: str,
        source: str,
        video_id: str | None,
        url: str | None,
        start: int,
    ) -> None:
        [row] = good(opened(save(f"{line}\n")))
        assert (row.source, row.start_ms) == (source, start)
        assert row.video_id == (video_id or layout.video_id("url", row.url))
        assert row.url == (url or layout.youtube_url("abcdefghij_"))

    def test_an_end_in_the_address(self, save: Callable[..., str]) -> None:
        lines = "https://youtu.be/abcdefghij_?start=5&end=8\nhttp://example.org/a.mp4#t=1,2.5\n"
        assert [row.end_ms for row in good(opened(save(lines)))] == [8_000, 2_500]

    @pytest.mark.parametrize(
        ("address", "why"),
        [
            ("file:///etc/passwd", "serve it over http, or name a mirror"),
            ("/data/video.mp4", "serve it over http"),
            ("./video.mp4", "serve it over http"),
            (r"C:\video.mp4", "serve it over http"),
            ("ftp://example.org/v.mp4", "only http and https"),
            ("s3://bucket/v.mp4", "only http and https"),
            ("video.mp4", "begins with http"),
            ("https:///v.mp4", "names no host"),
            ("http://[", "Invalid"),
            ("--config-location=x", "begins with http"),
        ],
    )
    def test_addresses_that_cannot_be_fetched(self, save: Callable[..., str], address: str, why: str) -> None:
        [fault] = bad(opened(save(f"url,start\n{address},0\n")))
        assert why in fault.reason

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ("#NAME?,0", "spreadsheet"),
            ("=-2Abohj8VY,0", "spreadsheet"),
            ('"=""-2Abohj8VY""",0', "spreadsheet"),
            ("#REF!,0", "spreadsheet"),
            (",0", "no video id and no url"),
            ("video7010,0", "not a YouTube id"),
            ("abcdefghij,0", "not a YouTube id"),
        ],
    )
    def test_ids_that_name_no_video(self, save: Callable[..., str], row: str, why: str) -> None:
        [fault] = bad(opened(save(f"video_id,start\n{row}\n")))
        assert why in fault.reason

    def test_youtubes_id_wins_over_a_lists_own(self, save: Callable[..., str]) -> None:
        content = "video_id,url,start\nvideo7,https://youtu.be/abcdefghij_,0\n"
        assert good(opened(save(content)))[0].video_id == "abcdefghij_"

    def test_a_mirror_keeps_the_youtube_id(self, save: Callable[..., str]) -> None:
        [row] = good(opened(save("video_id,url,start\nabcdefghij_,https://mirror.example/1.mp4,0\n")))
        assert (row.source, row.video_id, row.url) == ("url", "abcdefghij_", "https://mirror.example/1.mp4")

    def test_an_id_and_an_address_that_disagree(self, save: Callable[..., str]) -> None:
        [fault] = bad(opened(save("video_id,url,start\nabcdefghij_,https://youtu.be/ABCDEFGHIJ_,0\n")))
        assert "the url names 'ABCDEFGHIJ_'" in fault.reason

    def test_captions_of_known_clips_need_no_address(self, save: Callable[..., str]) -> None:
        spec = ListSpec(path=save("clip_id,caption\nmy-0123456789ab_0_10000,a dog\n"))
        [fault] = bad(open_list(spec, 10.0))
        assert "there is no url" in fault.reason
        [row] = good(open_list(spec, 10.0, addresses=False))
        assert (row.clip_id, row.url) == ("my-0123456789ab_0_10000", "")


COLUMN_NAMES = st.sampled_from([name for names in COLUMNS.values() for name in names] + ["caption_1", "mood"])
JSON_VALUES = st.one_of(
    st.sampled_from(
        ["abcdefghij_", "https://youtu.be/abcdefghij_?t=" + "9" * 400 + "h", "https://example.org/a.mp4",
         "1:02", "abcdefghij__1_2", "['a', 'b']", "[", "", " ", "train", "1" * 5000, "\ud800", 10**400, -1, 0,
         5, 7.5, True]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=4,
    ),
)  # fmt: skip


class TestBadRows:
    def test_every_data_row_comes_out_once_in_order(self, save: Callable[..., str]) -> None:
        content = AUDIOSET + (
            'abcdefghij0, 0.000, 10.000, "/m/09x0r"\n'
            "\n"
            "# a comment between\n"
            "abcdefghij1, 0.000, 10.000\n"
            'abcdefghij2, 0.000, 10.000, "/m/09x0r", extra\n'
            'abcdefghij3, 10.000, 0.000, "/m/09x0r"\n'
            '#NAME?, 0.000, 10.000, "/m/09x0r"\n'
            'abcdefghij4, 0.000, 10.000, "/m/09x0r\n'
            'abcdefghij5, 0.000, 10.000, "/m/09x0r" \n'
        )
        rows = list(opened(save(content), form="audioset-csv"))
        assert [row.line for row in rows] == [4, 7, 8, 9, 10, 11, 12]
        assert [type(row) for row in rows] == [Segment, Bad, Bad, Bad, Bad, Bad, Segment]
        reasons = [fault.reason for fault in bad(rows)]
        assert reasons[0] == "3 fields where 4 are due"
        assert reasons[1] == "5 fields where 4 are due"
        assert "not after start" in reasons[2]
        assert "spreadsheet" in reasons[3]
        assert "quote" in reasons[4]

    def test_a_stray_quote_swallows_no_rows(self, save: Callable[..., str]) -> None:
        lines = [f"abcdefghij_,{i},some text" for i in range(5000)]
        lines[3] = 'abcdefghij_,3,"an opened quote'
        lines[4000] = 'abcdefghij_,4000,"a good, quoted one"'
        rows = list(opened(save("youtube_id,start,caption\n" + "\n".join(lines))))
        assert len(rows) == 5000
        assert [(fault.line, fault.text) for fault in bad(rows)] == [(5, lines[3])]

    def test_quotes_that_are_not_doubled_spoil_only_their_row(self, save: Callable[..., str]) -> None:
        content = 'youtube_id,start,caption\nabcdefghij_,0,"He says "hello", twice"\nabcdefghij_,1,"fine"\n'
        rows = list(opened(save(content)))
        assert [type(row) for row in rows] == [Bad, Segment]

    def test_quotes_in_tsv_may_be_text(self, save: Callable[..., str]) -> None:
        content = 'youtube_id\tstart\tcaption\nabcdefghij_\t0\t"Hello" he says\nabcdefghij_\t1\t"half\n'
        assert [row.captions[0][1] for row in good(opened(save(content)))] == ['"Hello" he says', '"half']

    def test_a_field_over_lines_counts_from_its_first_line(self, save: Callable[..., str]) -> None:
        content = 'youtube_id,start,caption\r\nabcdefghij_,0,"one\r\ntwo"\r\nabcdefghij_,x,three\r\n'
        first, second = opened(save(content))
        assert isinstance(first, Segment)
        assert (first.line, first.captions[0][1]) == (2, "one\r\ntwo")
        assert (second.line, second[2]) == (4, "abcdefghij_,x,three")

    def test_a_bad_rows_text_is_cut(self, save: Callable[..., str]) -> None:
        [fault] = bad(opened(save(f"youtube_id,start,caption\nabcdefghij_,x,{'long ' * 400}\n")))
        assert len(fault.text) == 200

    def test_faults_in_json_lines(self, save: Callable[..., str]) -> None:
        content = (
            '{"video_id": "abcdefghij_", "start": 0}\n'
            '{"video_id": "abcdefghij_", "start": \n'
            "\n"
            "[1]\n"
            '{"video_id": "abcdefghij_", "start": true}\n'
            '{"video_id": "abcdefghij_", "start": NaN}\n'
            '{"video_id": "abcdefghij_", "start": 1e999}\n'
            f'{{"video_id": "abcdefghij_", "start": {"9" * 5000}}}\n'
            f'{{"video_id": "abcdefghij_", "start": {"9" * 400}}}\n'
            '{"video_id": "abcdefghij_", "start": 0, "caption": {"a": 1}}\n'
            '{"video_id": ["abcdefghij_"], "start": 0}\n'
            '{"caption": "alone"}\n'
            f"{'[' * 100_000}\n"
            '{"video_id": "abcdefghij_", "start": 0, "captions": ["one", "two"], "mood": 1}\n'
        )
        reader = opened(save(content), form="jsonl")
        rows = list(reader)
        assert [row.line for row in rows] == [1, 2, *range(4, 15)]
        assert [row.line for row in rows if isinstance(row, Segment)] == [1, 14]
        assert reader.ignored_columns == ("mood",)

    def test_faults_in_a_json_list(self, save: Callable[..., str]) -> None:
        content = (
            '["abcdefghij__0.000_1.000", "abcdefghij_", 7, null, "video7_0.000_1.000", "abcdefghij__1_0"]'
        )
        rows = list(opened(save(content)))
        assert [row.line for row in bad(rows)] == [2, 3, 4, 5, 6]
        assert bad(rows)[3].reason == "'video7' is not a YouTube id and there is no url"

    def test_questions_in_a_mapper_are_no_captions(self, save: Callable[..., str]) -> None:
        content = '{"abcdefghij__0.000_1.000": [{"question": "who?", "answer": "he"}]}'
        [fault] = bad(opened(save(content)))
        assert "no text" in fault.reason
        assert fault.text.startswith('"abcdefghij__0.000_1.000": [')

    @pytest.mark.parametrize("tail", ["", ",", "] [", ']}"', ', {"video_id": "abc'])
    def test_a_json_list_that_breaks_off_is_told(self, save: Callable[..., str], tail: str) -> None:
        one = '{"video_id": "abcdefghij__0.000_1.000", "desc": "x"}'
        reader = opened(save(f"[{one}, {one}{tail}", "desc_test.json"))
        with pytest.raises(UserError, match=r"desc_test\.json: not valid JSON: .*whole"):
            list(reader)

    def test_faults_in_parquet(self, tmp_path: Path) -> None:
        table: dict[str, list[Any]] = {
            "youtube_id": ["abcdefghij_", None, "abcdefghij_", "abcdefghij_"],
            "start": [0.0, 1.0, float("nan"), None],
            "end": [None, 2.0, 3.0, 4.0],
        }
        pq.write_table(pa.table(table), tmp_path / "list.parquet")
        rows = list(opened(str(tmp_path / "list.parquet")))
        assert [row.line for row in rows] == [1, 2, 3, 4]
        assert [row.line for row in bad(rows)] == [2, 3, 4]

    def test_a_parquet_without_videos_is_told(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "list.parquet")
        with pytest.raises(UserError, match="no column url, video_id or clip_id; it has a, b"):
            opened(str(tmp_path / "list.parquet"))
        pq.write_table(pa.table({"url": pa.array([], pa.string())}), tmp_path / "list.parquet")
        with pytest.raises(UserError, match="holds no rows"):
            opened(str(tmp_path / "list.parquet"))

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), st.sampled_from(FORMS))
    def test_no_file_crashes_the_reader(self, content: bytes, form: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "list")
            path.write_bytes(content)
            for asked in (form, "auto"):
                try:
                    for row in opened(str(path), form=asked):
                        "".join(map(str, row)).encode()
                except UserError as error:
                    if str(path) not in str(error):
                        raise

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.dictionaries(COLUMN_NAMES, JSON_VALUES), min_size=1, max_size=5))
    def test_no_object_crashes_the_reader(self, objects: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "list")
            path.write_text("\n".join(map(json.dumps, objects)))
            rows = list(opened(str(path), form="jsonl"))
        assert [row.line for row in rows] == list(range(1, len(objects) + 1))
        for fault in bad(rows):
            assert fault.reason
            (fault.reason + fault.text).encode()
        for row in good(row for row in rows if isinstance(row, Segment)):
            assert layout.clip_id(row.video_id, row.start_ms, row.end_ms) == row.clip_id
            assert row.start_ms < row.end_ms
            assert row.url.startswith("http")

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from(["abcdefghij_", "0", "10", ",", '"', "\n", "#", "x", " ", "\r\n", "'", "é"]))
    )
    def test_a_table_loses_no_line(self, parts: list[str]) -> None:
        """What a plain reader of lines counts is what comes out, unless a quoted field spans lines."""
        body = "".join(parts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "list")
            path.write_text(f"youtube_id,start,end,caption\nabcdefghij_,0,10,x\n{body}", newline="")
            rows = list(opened(str(path)))
        if '"' not in body:
            lines = [
                number for number, line in enumerate(io.StringIO(body, newline=""), 3) if line.strip(", \r\n")
            ]
            assert [row.line for row in rows[1:]] == lines
        assert [row.line for row in rows] == sorted({row.line for row in rows})


class TestReader:
    def test_the_splits_of_valors_files(self, save: Callable[..., str]) -> None:
        content = '["abcdefghij__0.000_1.000"]'
        names = {"test_id.json": "test", "desc_val.json.gz": "val", "ids.json": None, "train_test.json": None}
        assert {name: opened(save(content, name)).split for name in names} == names
        assert opened(save(content, "test_id.json"), split="train").split == "train"
        assert opened(save("youtube_id\nabcdefghij_\n", "test.csv")).split is None

    def test_authors(self, save: Callable[..., str]) -> None:
        content = "youtube_id,start,caption\nabcdefghij_,0,x\n"
        assert opened(save(content, "my_captions.csv.gz")).author == "my_captions"
        assert opened(save(content), author="lab").author == "lab"

    def test_it_can_be_read_again(self, save: Callable[..., str]) -> None:
        reader = opened(save("youtube_id,start\nabcdefghij_,0\nabcdefghij_,x\n"))
        assert list(reader) == list(reader)

    def test_a_long_json_list_is_read_in_constant_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "desc.json"
        one = '{"video_id": "abcdefghij__0.000_1.000", "desc": "' + "word " * 20 + '"}'
        path.write_text("[" + ", ".join([one] * 30_000) + "]")
        tracemalloc.start()
        assert sum(1 for _ in opened(str(path))) == 30_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < path.stat().st_size / 2


class TestOverHttp:
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[str]:
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()

    def test_a_list_at_an_address(self, served: str, tmp_path: Path) -> None:
        (tmp_path / "desc_test.json").write_text('[{"video_id": "abcdefghij__0.000_1.000", "desc": "x"}]')
        reader = opened(f"{served}/desc_test.json?token=secret")
        assert (reader.form, reader.name, reader.split) == ("valor-desc", "desc_test.json", "test")
        assert len(good(reader)) == 1

    def test_an_address_that_does_not_answer(self, served: str) -> None:
        with pytest.raises(UserError, match=r"/gone\.json: HTTP 404") as caught:
            opened(f"{served}/gone.json?token=secret")
        assert "secret" not in str(caught.value)
        with pytest.raises(UserError, match="no answer"):
            opened("http://127.0.0.1:9/list.csv")

    def test_other_addresses_are_told(self) -> None:
        with pytest.raises(UserError, match="local path or over http"):
            opened("s3://bucket/list.csv")
