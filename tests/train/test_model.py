"""The whole model: what is missing is left out, and processes share a batch without changing it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train import processes
from valor_data.train.masking import Dice, Masked, mask_words
from valor_data.train.model import Clips, Losses, Texts


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_give_the_gradients_of_one(world: int, tmp_path: Path) -> None:
    script = Path(processes.__file__)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(world), str(tmp_path)], cwd=script.parents[2]
        )
        for rank in range(world)
    ]
    assert [process.wait(120) for process in running] == [0] * world
    expected = processes.gradients(0, processes.CLIPS)
    for rank in range(world):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(
                found[name], gradient, atol=1e-6, rtol=1e-4, msg=f"{name}, rank {rank}"
            )


def texts(rows: int) -> tuple[Texts, Masked]:
    generator = torch.Generator().manual_seed(2)
    words = torch.randint(5, 60, (rows, 6), generator=generator)
    words[:, 0], words[:, 5] = 2, 3
    return Texts(words, words != 0), mask_words(words, processes.VOCABULARY, Dice((2,), rows))


def losses(has_video: list[bool], has_audio: list[bool], noise: int = 0) -> Losses:
    generator = torch.Generator().manual_seed(3)
    rows = len(has_video)
    frames = torch.randint(0, 256, (rows, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)
    slices = torch.randn(rows, 1, 32, 32, generator=generator)
    video, audio = torch.tensor(has_video), torch.tensor(has_audio)
    frames[~video], slices[~audio] = noise, float(noise)
    text, masked = texts(rows)
    found: Losses = processes.model().eval()(Clips(frames, video, slices, audio, False), text, masked)
    return found


def test_what_stands_for_a_missing_modality_does_not_count() -> None:
    has_video, has_audio = [True, True, False, True], [True, False, True, True]
    first, second = losses(has_video, has_audio), losses(has_video, has_audio, noise=9)
    assert set(first.mga) == set(first.mgc) == {"tv", "ta", "tva"}
    for one, other in zip(first, second, strict=True):
        for name in one:
            torch.testing.assert_close(one[name], other[name])


def test_a_set_without_sound_trains_on_its_picture_alone() -> None:
    text, masked = texts(3)
    frames = torch.randint(0, 256, (3, 1, 32, 32, 3), dtype=torch.uint8)
    here = torch.ones(3, dtype=torch.bool)
    found = processes.model()(Clips(frames, here, None, ~here, False), text, masked)
    assert set(found.mga) == set(found.mgc) == {"tv"}
    assert found.total(1.5).isfinite()


def test_losses_at_random_weights_are_those_of_guessing() -> None:
    found = losses([True] * 4, [True] * 4)
    for value in found.mgc.values():
        assert value.item() == pytest.approx(torch.tensor(60.0).log().item(), abs=0.5)
