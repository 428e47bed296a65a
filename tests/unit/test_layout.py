"""Ids, times and keys: what is made can be read back."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data import layout

ALPHABET = string.ascii_letters + string.digits + "_-"
YOUTUBE_IDS = st.text(ALPHABET, min_size=11, max_size=11)
OWN_IDS = st.text(ALPHABET, min_size=1, max_size=64)
MS = st.integers(0, 9_999_999_999)


class TestClipIds:
    @given(YOUTUBE_IDS | OWN_IDS, MS, MS)
    def test_a_clip_id_reads_back(self, video_id: str, start: int, end: int) -> None:
        made = layout.clip_id(video_id, start, end)
        assert layout.parse_clip_id(made) == (video_id, start, end)
        assert set(made) <= set(ALPHABET)  # a dot would end a WebDataset key

    @given(st.text(max_size=30) | st.from_regex(r"[\w-]{1,12}_[0-9]{1,11}_[0-9]{1,11}\n?", fullmatch=True))
    def test_a_text_is_refused_or_is_the_only_spelling_of_its_span(self, text: str) -> None:
        try:
            span = layout.parse_clip_id(text)
        except ValueError:
            return
        assert layout.clip_id(*span) == text

    @pytest.mark.parametrize(
        ("video_id", "start", "end"),
        [
            ("", 0, 1),
            ("a.b", 0, 1),
            ("a b", 0, 1),
            ("ä", 0, 1),
            ("x" * 65, 0, 1),
            ("a", -1, 1),
            ("a", 0, 10**10),
        ],
    )
    def test_parts_that_could_not_be_read_back_are_refused(self, video_id: str, start: int, end: int) -> None:
        with pytest.raises(ValueError, match="is no clip id"):
            layout.clip_id(video_id, start, end)

    @pytest.mark.parametrize("text", ["", "a", "a_1", "a_1_2\n", "a_01_2", "a_1_2_", "a_٣_٤", "a_1.5_2"])
    def test_texts_that_are_no_clip_id(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no clip id"):
            layout.parse_clip_id(text)


class TestOfficialIds:
    @given(YOUTUBE_IDS | OWN_IDS, MS, MS)
    def test_official_ids_turn_into_clip_ids_and_back(self, video_id: str, start: int, end: int) -> None:
        clip = layout.clip_id(video_id, start, end)
        official = layout.official_id(clip)
        assert re.fullmatch(r".+_\d+\.\d{3}_\d+\.\d{3}", official)
        assert layout.clip_id(*layout.parse_official_id(official)) == clip

    def test_as_valor_writes_them(self) -> None:
        assert layout.official_id("x-2Abohj8VY_30000_40000") == "x-2Abohj8VY_30.000_40.000"
        assert layout.parse_official_id("-2A_ohj_8VY_0.000_2.500") == ("-2A_ohj_8VY", 0, 2500)
        assert layout.parse_official_id("Ptf_2VRj-V0_000122_000132") == ("Ptf_2VRj-V0", 122_000, 132_000)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x-2Abohj8VY",
            "x-2Abohj8VY_30",
            "_1_2",
            "a_1_2\n",
            "a_-1_2",
            "a_1e3_2",
            "a_1_99999999999",
            "a_٣_٤",
        ],
    )
    def test_texts_that_are_no_official_id(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no"):
            layout.parse_official_id(text)


class TestMilliseconds:
    @given(MS)
    def test_three_decimals_are_exact(self, ms: int) -> None:
        assert layout.milliseconds(f"{ms // 1000}.{ms % 1000:03d}") == ms
        assert layout.milliseconds(ms / 1000) == ms

    @given(st.floats() | st.integers() | st.text(max_size=20) | st.floats().map(str))
    def test_a_time_is_refused_or_fits_a_clip_id(self, seconds: str | float) -> None:
        try:
            ms = layout.milliseconds(seconds)
        except ValueError:
            return
        assert layout.parse_clip_id(layout.clip_id("a", ms, ms)) == ("a", ms, ms)

    @pytest.mark.parametrize(
        "seconds", [float("nan"), float("inf"), -0.001, 1e7, 9_999_999.9999, 10**400, "1_0", ""]
    )
    def test_what_is_no_time(self, seconds: str | float) -> None:
        with pytest.raises(ValueError, match="is no time in seconds"):
            layout.milliseconds(seconds)


class TestVideos:
    @pytest.mark.parametrize(
        "url",
        [
            "https://www.youtube.com/watch?v={}",
            "http://youtube.com/watch?feature=share&v={}&t=30s#x",
            "https://m.youtube.com/watch?v={}",
            "https://music.youtube.com/watch?v={}&list=RD",
            "https://youtu.be/{}",
            "https://www.youtu.be/{}?t=3",
            "https://www.youtube.com/shorts/{}",
            "https://www.youtube.com/live/{}?si=x",
            "https://www.youtube-nocookie.com/embed/{}?start=5",
            "https://www.youtube.com/v/{}",
            "youtube.com/watch?v={}",
            "youtu.be/{}?from=https://example.org",
            "HTTPS://WWW.YouTube.com/watch?v={}",
        ],
    )
    @given(video_id=YOUTUBE_IDS)
    def test_addresses_of_a_youtube_video(self, url: str, video_id: str) -> None:
        assert layout.youtube_id(url.format(video_id)) == video_id

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.org/watch?v=abcdefghij_",
            "https://notyoutube.com/watch?v=abcdefghij_",
            "https://youtube.com.example.org/watch?v=abcdefghij_",
            "https://www.youtube.com/playlist?list=abcdefghij_",
            "https://www.youtube.com/watch?v=short",
            "https://www.youtube.com/watch?v=abcdefghij_%0A",
            "https://www.youtube.com/@channel",
            "https://youtu.be/",
            "abcdefghij_",
            "http://[",
            "",
        ],
    )
    def test_addresses_of_anything_else(self, url: str) -> None:
        assert layout.youtube_id(url) is None

    @given(YOUTUBE_IDS)
    def test_the_watch_page_names_its_video(self, video_id: str) -> None:
        assert layout.youtube_id(layout.youtube_url(video_id)) == video_id

    @given(OWN_IDS)
    def test_an_own_id_that_fits_stays(self, own: str) -> None:
        assert layout.video_id("url", own) == own

    @given(st.from_regex(r"https?://[a-z]{1,9}\.org/[^\s#?]{0,50}(\?[^\s#]{0,9})?", fullmatch=True), MS, MS)
    def test_an_addresss_id_fits_a_clip_id(self, address: str, start: int, end: int) -> None:
        made = layout.video_id("url", address)
        assert len(made) <= 37
        assert layout.parse_clip_id(layout.clip_id(made, start, end)).video_id == made
        assert layout.video_id("url", address) == made

    def test_an_addresss_id_is_legible_and_apart_from_its_neighbours(self) -> None:
        one = layout.video_id("url", "https://example.org/a/My%20holiday.mp4")
        two = layout.video_id("url", "https://example.org/b/My%20holiday.mp4")
        assert re.fullmatch(r"My-holiday-[0-9a-f]{12}", one)
        assert one != two
        assert re.fullmatch(r"[0-9a-f]{12}", layout.video_id("url", "https://example.org/영상.mp4"))


class TestKeys:
    @given(YOUTUBE_IDS, MS, MS)
    def test_an_object_key_names_its_clip(self, video_id: str, start: int, end: int) -> None:
        clip = layout.clip_id(video_id, start, end)
        key = layout.object_key("exact-1f2e3d4c", clip)
        assert re.fullmatch(r"clips/exact-1f2e3d4c/[0-9a-f]{2}/[A-Za-z0-9_-]+\.mp4", key)
        assert key.endswith(f"/{clip}.mp4")
        assert key == layout.object_key("exact-1f2e3d4c", clip)

    def test_a_caption_id_stays_and_tells_apart(self) -> None:
        one = layout.caption_id("a_0_1", "human", "ann", "7")
        assert one == layout.caption_id("a_0_1", "human", "ann", "7")
        assert re.fullmatch(r"[0-9a-f]{24}", one)
        others = [
            ("b_0_1", "human", "ann", "7"),
            ("a_0_1", "model", "ann", "7"),
            ("a_0_1", "human", "ann7", ""),
        ]
        assert one not in [layout.caption_id(*parts) for parts in others]

    def test_a_digest_does_not_depend_on_the_order_of_keys(self) -> None:
        assert layout.digest({"b": 1, "a": ["ä", None]}) == layout.digest({"a": ["ä", None], "b": 1})
        assert layout.digest({"a": 1}) != layout.digest({"a": "1"})

    def test_names_in_a_release(self) -> None:
        assert layout.shard_name("train", 7) == "train/train-000007.tar"
        assert layout.member_names("a_0_1", ["mp4", "json"]) == ["a_0_1.mp4", "a_0_1.json"]
        assert layout.release_prefix("demo", "0.1.0") == "releases/demo-0.1.0/"

    def test_the_label_names_ship(self) -> None:
        lines = layout.asset("labels", "audioset.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "index,mid,display_name"
        assert len(lines) == 528
