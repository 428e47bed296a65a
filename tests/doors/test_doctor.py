"""The doctor finds what is there, and tells the mend of what is not."""

from pathlib import Path

import pytest

from valor_data import resolve
from valor_data.media import ffmpeg
from valor_data.stages.doctor import Check, examine


def _found(name: str, tmp_path: Path) -> Check:
    return next(check for check in examine(str(tmp_path)) if check.name == name)


def test_this_machine_is_fit(tmp_path: Path) -> None:
    checks = examine(str(tmp_path))
    assert {check.state for check in checks} <= {"ok", "optional"}
    assert all(check.mend for check in checks if check.state != "ok")
    assert {"ffmpeg", "yt-dlp", "javascript", "yt-dlp-ejs", "PO tokens"} <= {check.name for check in checks}


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ("ffmpeg@5.1.9-0+deb12u1 av@18.1.0", "missing"),
        ("ffmpeg@8.0 av@18.1.0", "missing"),
        ("ffmpeg@8.1 av@18.1.0", "ok"),
        ("ffmpeg@n10.0-static av@18.1.0", "ok"),
        ("ffmpeg@N-121000-gabcdef av@18.1.0", "ok"),
    ],
)
def test_an_ffmpeg_that_is_too_old(
    versions: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "tool_versions", lambda: versions)
    assert _found("ffmpeg", tmp_path).state == state


@pytest.mark.parametrize(
    ("versions", "state"),
    [((None, "0.8.0"), "missing"), (("0.7.2", "0.8.0"), "missing"), (("0.8.3", "0.8.0"), "ok")],
)
def test_the_scripts_that_solve_challenges_must_fit_yt_dlp(
    versions: tuple[str | None, str], state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "solver_versions", lambda: versions)
    check = _found("yt-dlp-ejs", tmp_path)
    assert check.state == state
    assert state == "ok" or check.mend == "pip install 'yt-dlp-ejs==0.8.*'"


def test_a_token_provider_is_found_where_its_plug_in_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _found("PO tokens", tmp_path).state == "optional"
    monkeypatch.setattr(resolve, "has_token_provider", lambda: True)
    assert _found("PO tokens", tmp_path).state == "ok"
