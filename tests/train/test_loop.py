"""Training from a release: it learns, stops, goes on with the same bits, and says what is wrong."""

import io
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tests.train.conftest import config
from valor_data.errors import FatalError, UserError
from valor_data.train import checkpoint
from valor_data.train.batch import Share, open_releases
from valor_data.train.blocks import PreNormBlock
from valor_data.train.config import Pretrain
from valor_data.train.loop import Trained, pretrain
from valor_data.train.model import Valor
from valor_data.train.parallel import Place
from valor_data.train.words import Words

ALONE = Place(Share(), torch.device("cpu"))


@pytest.fixture(scope="session")
def words(release: Path) -> Words:
    readers = open_releases(config(release, release).data.sources)
    texts = [sample.members["txt"].decode() for sample in readers[0]]
    return Words.of(texts, 80)


def train(made: Pretrain, words: Words, **options: object) -> Trained:
    return pretrain(made, words, ALONE, progress=False, **options)  # type: ignore[arg-type]


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = checkpoint.newest(run)
    assert newest is not None
    return load_file(newest / "model.safetensors")


def test_it_learns_and_tells(release: Path, words: Words, tmp_path: Path) -> None:
    done = train(config(release, tmp_path / "run", steps=30), words)
    assert (done.steps, done.stopped) == (30, False)
    told = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in told] == list(range(2, 31, 2))
    assert told[-1]["mgc_tva"] < told[0]["mgc_tva"]
    assert set(done.losses) == {f"{kind}_{group}" for kind in ("mga", "mgc") for group in ("tv", "ta", "tva")}
    assert 0 <= told[0]["wait_share"] <= 1
    assert all(0 < line["mfu"] < 1 for line in told)  # a CPU's peak is measured


def test_mfu_is_left_out_where_the_peak_is_not_known(release: Path, words: Words, tmp_path: Path) -> None:
    """Of a CPU in bf16: its layers have no measure here."""
    train(config(release, tmp_path / "run", steps=2, precision="bf16"), words)
    (told,) = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert "mfu" not in told
    assert told["samples_per_s"] > 0


def test_a_broken_clip_is_named_and_the_rest_goes_on(release: Path, words: Words, tmp_path: Path) -> None:
    done = train(config(release, tmp_path / "run"), words)
    assert set(done.faults) == {"-v_02_10000_20000", "-v_05_10000_20000"}
    assert all("corrupt" in fault or "ItemError" in fault for fault in done.faults.values())


def test_ctrl_c_saves_and_goes_on(release: Path, words: Words, tmp_path: Path) -> None:
    def interrupt(model: Valor, words: Words) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    made = config(release, tmp_path / "run", steps=6, validate_every=3)
    with pytest.raises(KeyboardInterrupt):
        train(made, words, validate=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert checkpoint.newest(tmp_path / "run") == checkpoint.step_folder(tmp_path / "run", 4)
    assert train(made, words).steps == 6


def test_a_validation_that_a_stop_cut_off_is_made_up(release: Path, words: Words, tmp_path: Path) -> None:
    made = config(release, tmp_path / "run", steps=4, validate_every=1)
    judged: list[int] = []

    def judge(model: Valor, words: Words) -> float:
        judged.append(len(judged))
        if len(judged) == 2:
            os.kill(os.getpid(), signal.SIGTERM)  # it is looked at behind the next step, whose turn it is
        return float(len(judged))

    assert train(made, words, validate=judge).steps == 3
    assert len(judged) == 2
    train(made, words, validate=judge)
    told = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in told if "validation" in line] == [1, 2, 3, 4]
    train(made, words, validate=judge)
    assert len(judged) == 4


def test_a_hard_stop_leaves_no_step_twice_in_the_log(release: Path, words: Words, tmp_path: Path) -> None:
    train(config(release, tmp_path / "run", steps=4, log_every=1, save_every=2), words)
    shutil.rmtree(checkpoint.step_folder(tmp_path / "run", 4))
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(log.read_bytes() + b'\xff\n{"step": 5, "mga')
    train(config(release, tmp_path / "run", steps=5, log_every=1), words)
    told = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert told == [1, 2, 3, 4, 5]


def test_other_settings_are_told(
    release: Path, words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config(release, tmp_path / "run", steps=1), words)
    train(config(release, tmp_path / "run", steps=2, rate=2e-3, log_every=7), words)
    told = capsys.readouterr().err
    assert (
        "step-00000001 was made with other settings: optim.steps 1 -> 2, optim.rate 0.001 -> 0.002;" in told
    )
    train(config(release, tmp_path / "run", steps=3, rate=2e-3), words)
    card = (checkpoint.step_folder(tmp_path / "run", 3) / "README.md").read_text()
    assert (
        "- Settings were changed on the way: from step 1 on optim.steps 1 -> 2, optim.rate 0.001 -> 0.002; "
        "from step 2 on optim.steps 2 -> 3\n" in card
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at it
def test_compiled_blocks_learn_the_same(
    release: Path, words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and run as one graph forward and back; what a backend makes of the graph is torch's."""
    compiled = []

    def compile_block(block: PreNormBlock) -> None:
        compiled.append(block)
        nn.Module.compile(block, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr(PreNormBlock, "compile", compile_block)
    plain, traced = (
        config(release, tmp_path / name, steps=3, compile=name == "traced").model_dump()
        for name in ("plain", "traced")
    )
    for made in (plain, traced):  # which a traced block would draw in another order
        made["model"]["text"]["dropout"] = made["model"]["audio"]["dropout"] = 0.0
    losses = [train(Pretrain.model_validate(made), words).losses for made in (plain, traced)]
    assert compiled
    assert losses[1] == pytest.approx(losses[0], abs=2e-5)
    for name, value in weights(tmp_path / "plain").items():
        assert (weights(tmp_path / "traced")[name] - value).abs().max() < 1e-5, name


def test_where_nothing_can_be_read_nothing_is_saved(tmp_path: Path, words: Words) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name, data in {"a.mp4": b"no film", "a.txt": b"a dog barks"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    made = config(tmp_path / "a.tar", tmp_path / "run", steps=2)
    with pytest.raises(UserError, match=r"no clip of 2 steps has a picture or a sound.*the first, a: "):
        train(made, words)
    assert checkpoint.newest(tmp_path / "run") is None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_goes_on_with_the_same_bits(
    release: Path, words: Words, tmp_path: Path, workers: int
) -> None:
    whole = config(release, tmp_path / "whole", steps=6)
    train(whole, words)

    class Killer:
        """Asks to stop after three steps, as a spot machine's host does."""

        def __call__(self, model: Valor, words: Words) -> float:
            os.kill(os.getpid(), signal.SIGTERM)
            return 0.0

    halved = config(release, tmp_path / "halved", steps=6, validate_every=3)
    halved = halved.model_copy(update={"data": halved.data.model_copy(update={"workers": workers})})
    first = train(halved, words, validate=Killer())
    assert first.stopped
    assert 3 <= first.steps < 6
    second = train(config(release, tmp_path / "halved", steps=6), words)
    assert (second.steps, second.stopped) == (6, False)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "halved").items():
        assert torch.equal(value, expected[name]), name


def test_a_finished_run_does_nothing_more(release: Path, words: Words, tmp_path: Path) -> None:
    made = config(release, tmp_path / "run", steps=2)
    train(made, words)
    before = weights(tmp_path / "run")
    again = train(made, words)
    assert again.steps == 2
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, before[name])


def test_passes_add_up_to_a_step(release: Path, words: Words, tmp_path: Path) -> None:
    done = train(config(release, tmp_path / "run", steps=2, accumulate=2), words)
    assert done.steps == 2


def test_the_best_model_is_kept_apart_and_only_two_checkpoints_stay(
    release: Path, words: Words, tmp_path: Path
) -> None:
    scores = iter([1.0, 3.0, 2.0])
    made = config(release, tmp_path / "run", steps=6, save_every=1, validate_every=2)
    train(made, words, validate=lambda model, words: next(scores))
    folders = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert folders == ["step-00000005", "step-00000006"]
    best = checkpoint.load(tmp_path / "run/best")
    assert "after 4 of 6 steps" in (tmp_path / "run/best/README.md").read_text()
    assert best.words.vocabulary == words.vocabulary
    assert str(release) not in (tmp_path / "run/best/README.md").read_text()


def test_a_run_that_goes_on_knows_its_best_though_that_was_judged_behind_its_checkpoint(
    release: Path, words: Words, tmp_path: Path
) -> None:
    for steps, score in ((2, 3.0), (4, 2.0)):
        made = config(release, tmp_path / "run", steps=steps, validate_every=2)
        train(made, words, validate=lambda model, words, score=score: score)
    assert "after 2 of 2 steps" in (tmp_path / "run/best/README.md").read_text()
    assert checkpoint.score_of(tmp_path / "run/best") == 3


def test_a_loss_that_is_no_number_stops_and_names_the_clips(
    release: Path, words: Words, tmp_path: Path
) -> None:
    train(config(release, tmp_path / "run", steps=2), words)
    good = checkpoint.newest(tmp_path / "run")
    assert good is not None
    made = config(release, tmp_path / "run", steps=4, rate=1e30, warm_up=0.0, clip_norm=1e30)
    told = r"the loss of step \d, or its gradients, are (nan|inf); {}\. .*batch: -v_"
    with pytest.raises(FatalError, match=told.format("step-00000002 stands")):
        train(made, words)
    assert checkpoint.newest(tmp_path / "run") == good
    with pytest.raises(FatalError, match=told.format("there is no checkpoint yet")):
        train(made.model_copy(update={"out": str(tmp_path / "new")}), words)


def test_no_checkpoint_holds_what_is_no_number(release: Path, words: Words, tmp_path: Path) -> None:
    """Weights may be lost by gradients of a loss that is a number itself."""
    made = config(release, tmp_path / "run", steps=9, rate=1e6, warm_up=0.0, clip_norm=1e9, save_every=1)
    with pytest.raises(FatalError, match="or its gradients"):
        train(made, words)
    folder = checkpoint.newest(tmp_path / "run")
    assert folder is not None
    for weight in checkpoint.load(folder).weights.values():
        assert torch.isfinite(weight).all()


def test_weights_that_are_no_numbers_are_not_opened(release: Path, words: Words, tmp_path: Path) -> None:
    train(config(release, tmp_path / "run", steps=1), words)
    folder = checkpoint.newest(tmp_path / "run")
    assert folder is not None
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode
    held = load_file(folder / "model.safetensors")
    held["temperature"] = torch.full((1,), torch.nan)
    save_file(held, folder / "model.safetensors")
    with pytest.raises(UserError, match="temperature holds what is no number"):
        checkpoint.load(folder)
    with pytest.raises(UserError, match=r"a run; give one of its checkpoints, such as .*step-00000001"):
        checkpoint.load(tmp_path / "run")


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(
    release: Path, words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(release, tmp_path / "run", steps=1), words)
    good = checkpoint.newest(tmp_path / "run")

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(FatalError, match=r"cannot be written: .*No space left.*the same command goes on"):
        train(config(release, tmp_path / "run", steps=2), words)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [good and good.name]


def test_a_broken_state_is_told_with_the_mend(release: Path, words: Words, tmp_path: Path) -> None:
    train(config(release, tmp_path / "run", steps=1), words)
    folder = checkpoint.newest(tmp_path / "run")
    assert folder is not None
    state = (folder / "state.pt").read_bytes()
    (folder / "state.pt").write_bytes(state[: len(state) // 2])
    with pytest.raises(UserError, match=r"state\.pt: not readable .*remove that folder"):
        train(config(release, tmp_path / "run", steps=2), words)
    for broken in (b"", b"no state"):
        (folder / "state.pt").write_bytes(broken)
        with pytest.raises(UserError, match=r"state\.pt: not readable: .* cut short; remove that folder"):
            train(config(release, tmp_path / "run", steps=2), words)
    torch.save({"step": 1}, folder / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt: it lacks owed, .*remove that folder"):
        train(config(release, tmp_path / "run", steps=2), words)


@pytest.mark.parametrize(
    ("section", "key", "value", "told"),
    [
        ("data", "frames", 99, "data.frames is 99, and model.most_frames"),
        ("data", "words", 600, "model.text.positions must be"),
        ("optim", "seed", -1, "greater than or equal to 0"),
        ("model", "contra_dim", 10**11, "less than or equal to 1048576"),
    ],
)
def test_sizes_that_do_not_fit_are_told(
    release: Path, tmp_path: Path, section: str, key: str, value: int, told: str
) -> None:
    raw = config(release, tmp_path / "run").model_dump()
    raw[section][key] = value
    with pytest.raises(ValueError, match=told):
        Pretrain.model_validate(raw)


def test_a_run_folder_of_another_model_is_refused(release: Path, words: Words, tmp_path: Path) -> None:
    made = config(release, tmp_path / "run", steps=1)
    train(made, words)
    other = made.model_copy(update={"model": made.model.model_copy(update={"contra_dim": 24})})
    with pytest.raises(UserError, match=r"made with another \[model.contra_dim\]: 16; here 24"):
        train(other, words)


def test_a_checkpoint_that_is_none_or_broken_is_told(release: Path, words: Words, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint there: it lacks config\.json"):
        checkpoint.load(tmp_path)
    train(config(release, tmp_path / "run", steps=1), words)
    folder = checkpoint.newest(tmp_path / "run")
    assert folder is not None
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="not readable as a checkpoint"):
        checkpoint.load(folder)
