"""Training on questions: what is trained is what is asked later, which batches come, and that it learns."""

import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch

from tests.doors.test_release import PREFIX, fill, opened, recipe
from tests.train import processes, test_torchrun
from tests.train.conftest import config
from tests.train.test_loop import ALONE, weights
from tests.train.test_use import TOML
from valor_data import chain
from valor_data.errors import UserError
from valor_data.media.write import write_video
from valor_data.scenes import frames, make_scene, pairs, samples
from valor_data.stages.shard import write_release
from valor_data.train import meteor, scale, use
from valor_data.train.asked import askings
from valor_data.train.batch import Batch, ClipSet, Collate, Decoder, Schedule, Share, batches, open_releases
from valor_data.train.build import outline
from valor_data.train.config import Pretrain, load
from valor_data.train.generate import generate
from valor_data.train.loop import pretrain
from valor_data.train.masking import Masked
from valor_data.train.model import GROUPS, Clips, GroupName, Texts, Valor
from valor_data.train.words import Words

VOCABULARY = processes.VOCABULARY
LATE = 0
"""A seed by which captions come after four steps of questions."""
QUESTIONS = Texts(
    torch.tensor([[2, 9, 3, 0, 0], [2, 11, 12, 13, 3], [2, 9, 14, 3, 0]]),
    torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]).bool(),
)


@pytest.fixture(scope="module")
def sharp() -> Valor:
    """Random weights, but larger: clip, question, and words before all count. It says words only."""
    made = processes.model().eval()
    with torch.no_grad():
        made.bert.words.weight.mul_(30)
        made.bert.positions.weight.mul_(30)
        for block in made.bert.layers():
            block.cross.out.weight.mul_(40)
        made.bert.head_bias[[VOCABULARY.pad, VOCABULARY.first, VOCABULARY.mask]] = -1e4
        made.bert.head_bias[VOCABULARY.last] = -10
    return made


def clips(rows: int = 3, heard: tuple[bool, ...] = (True, True, True)) -> Clips:
    generator = torch.Generator().manual_seed(4)
    frames = torch.randint(0, 256, (rows, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)
    sound = torch.randn(rows, 1, 32, 32, generator=generator)
    return Clips(frames, torch.ones(rows, dtype=torch.bool), sound, torch.tensor(heard), all(heard))


def row(of: Texts, number: int) -> Texts:
    """One text without pads."""
    length = int(of.mask_BL[number].sum())
    return Texts(of.words_BL[number : number + 1, :length], of.mask_BL[number : number + 1, :length])


@pytest.mark.parametrize("group", GROUPS)
def test_a_word_costs_in_training_what_it_costs_in_an_answer(sharp: Valor, group: GroupName) -> None:
    """At every place of an answer, with the same words before it; beside neighbours with other lengths."""
    seen = sharp.see(clips())
    whole = generate(sharp, seen, VOCABULARY, group, beams=1, most=6, prompt=QUESTIONS)
    said = [[*one.ids, VOCABULARY.last] for one in whole]
    # The chance of a text that is cut after n words is that of these words, for its end is then certain.
    sums = [
        [one.log_probability for one in generate(
            sharp, seen, VOCABULARY, group, beams=1, most=most, prompt=QUESTIONS)]
        for most in range(7)
    ]  # fmt: skip
    length = 9
    for number, words in enumerate(said):
        for place, wanted in enumerate(words[:6]):
            ids = torch.full((3, length), VOCABULARY.pad)
            ids[:, :4] = torch.tensor([2, 20, 21, 3])  # the neighbours' answers
            ids[number] = torch.tensor([2, *words, *[VOCABULARY.pad] * length][:length])
            hidden = ids.clone()
            hidden[number, place + 1] = VOCABULARY.mask
            at = torch.tensor([number * length + place + 1])
            joins = [other == number for other in range(3)]
            beside = clips()._replace(
                has_video_B=torch.tensor(joins), has_audio_B=torch.tensor(joins), whole=False
            )
            masked = Masked(hidden, at, torch.tensor([wanted]))
            with torch.no_grad():
                told = sharp(beside, Texts(ids, ids != VOCABULARY.pad), masked, (group,), QUESTIONS)
            assert set(told.told()) == {f"qa_{group}"}
            expected = sums[place + 1][number] - sums[place][number]
            assert -told.qa[group].item() == pytest.approx(expected, abs=1e-5)
    assert len({tuple(words) for words in said}) > 1


def test_answers_weigh_alike_however_long_and_count_where_their_clip_has_something(sharp: Valor) -> None:
    ids = torch.tensor([[2, 20, 3, 0, 0], [2, 21, 22, 23, 3], [2, 24, 25, 3, 0]])
    hidden = torch.where((ids == 0) | (ids == 2), ids, VOCABULARY.mask)
    texts = Texts(ids, ids != 0)
    chosen = ((ids != 0) & (ids != 2)).flatten().nonzero().squeeze(1)
    masked = Masked(hidden, chosen, ids.flatten()[chosen])
    heard = (True, False, True)
    with torch.no_grad():
        together = sharp(clips(heard=heard), texts, masked, GROUPS, QUESTIONS)
        alone = []
        for number in range(3):
            text, of, some = row(texts, number), clips(), slice(number, number + 1)
            words = hidden[some, : text.words_BL.shape[1]]
            one = Clips(*(part[some] if isinstance(part, torch.Tensor) else part for part in of))
            each = [
                sharp(
                    one, text, Masked(words, place, text.words_BL[0, place]), GROUPS, row(QUESTIONS, number)
                )
                for place in torch.arange(1, words.shape[1]).split(1)
            ]
            alone.append({name: torch.stack([told.qa[name] for told in each]).mean() for name in GROUPS})
    for name, counting in (("tv", (0, 1, 2)), ("ta", (0, 2)), ("tva", (0, 2))):
        expected = torch.stack([alone[number][name] for number in counting]).mean()
        assert together.qa[name].item() == pytest.approx(expected.item(), abs=1e-5)
    assert together.mga == together.mgc == {}
    assert together.total(1.5).item() == pytest.approx(torch.stack(list(together.qa.values())).mean().item())


def test_operations_are_those_that_torch_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    valor = processes.model()
    ids = torch.tensor([[2, 20, 3], [2, 21, 3], [2, 24, 3]])
    masked = Masked(ids, (ids != 2).flatten().nonzero().squeeze(1), ids[:, 1:].flatten())
    asked = Texts(torch.full((3, 5), 9), torch.ones(3, 5, dtype=torch.bool))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        valor(clips(), Texts(ids, ids != 0), masked, GROUPS, asked).total(1.0).backward()
    made = config(tmp_path, tmp_path)
    data = made.data.model_copy(update={"batch": 3})
    made = made.model_copy(update={"model": valor.config, "data": data})
    size = scale.pass_of(made, pieces=1, asked=3)
    assert (size.words, size.masked) == (8, 0.99 * 2)
    parts = scale.flops(outline(valor.config).config, size._replace(masked=2), asks=True)
    assert scale.total(parts).trained == pytest.approx(counter.get_total_flops(), rel=0.01)


CLIPS = [(0, 0), (0, 1), (1, 1), (2, 0)]
"""Video and part of some whole clips of `release`, which are those of the first pairs in turn."""


def clip(video: int, part: int) -> str:
    return f"-v_{video:02d}_{part * 10_000}_{part * 10_000 + 10_000}"


def scene(video: int, part: int) -> tuple[str, str]:
    """What is seen and heard there."""
    return pairs()[::11][(2 * video + part) % 6]


def listed(path: Path, several: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in several), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is seen in clips 0 to 4 and again in 6 to 10, and what is heard in those that have sound."""
    several: list[dict[str, object]] = []
    for number in range(12):
        at = divmod(number, 2)
        if number % 6 == 5:  # broken
            continue
        seen, heard = scene(*at)
        several.append({"clip": clip(*at), "question": "What is seen?", "answer": seen, "modality": "visual"})
        if number % 6:
            several.append(
                {"clip": clip(*at), "question": "What is heard?", "answers": [heard], "modality": "audio"}
            )
    return listed(tmp_path_factory.mktemp("asked") / "qa_train.jsonl", several)


def of(release: Path, out: Path, asked: str, *, captions: bool = True, **optim: object) -> Pretrain:
    """The small config with questions, beside captions or alone."""
    made = config(release, out, **optim).model_dump()
    source = {"release": str(release), "questions": asked}
    made["data"]["sources"] = [*(made["data"]["sources"] if captions else []), source]
    return Pretrain.model_validate(made)


def taken(made: Pretrain, steps: range, share: Share = ALONE.share, workers: int = 0) -> list[Batch]:
    made, words = use.with_words(made)
    readers = open_releases(made.data.sources)
    lists = askings(made.data.sources, readers)
    clips = ClipSet(readers, Decoder(made.data, made.model, 7), lists)
    schedule = Schedule(clips.sizes, [source.weight for source in made.data.sources], made.data.batch, 7)
    collate = Collate(made.data, made.model, words, 7, fixed=share.world > 1)
    return list(batches(clips, schedule, collate, steps, workers=workers, share=share))


def texts(words: Words, of: Texts) -> list[str]:
    return [words.join(ids) for ids in of.words_BL.tolist()]


def test_every_question_comes_once_a_round_with_its_clip_and_one_of_its_answers(
    release: Path, tmp_path: Path, asked: str
) -> None:
    made = of(release, tmp_path, asked, captions=False)
    _, words = use.with_words(made)
    rows = [json.loads(line) for line in Path(asked).read_text().splitlines()]
    expected = sorted(
        (row["clip"], row["question"].lower().strip("?"), row.get("answer") or row["answers"][0])
        for row in rows
    )
    found = []
    hidden = there = 0
    for batch in taken(made, range(len(rows) // made.data.batch + 1)):
        assert batch.prompt is not None
        found += list(zip(batch.clip_ids, texts(words, batch.prompt), texts(words, batch.texts), strict=True))
        hidden += len(batch.masked.chosen_M)
        there += int(batch.texts.mask_BL[:, 1:].sum())
        assert int(batch.clips.has_video_B.sum()) == made.data.batch
    assert sorted(found[: len(rows)]) == expected
    assert hidden >= 0.95 * there  # nearly all words, and their ends


def test_batches_follow_from_seed_and_step_whoever_takes_them(
    release: Path, tmp_path: Path, asked: str
) -> None:
    made = of(release, tmp_path, asked)
    whole = taken(made, range(2, 10))
    assert {batch.prompt is None for batch in whole} == {True, False}  # a step takes one source
    again = taken(made, range(2, 10), workers=2)
    halves = [taken(made, range(2, 10), Share(rank, 2)) for rank in range(2)]
    for number, batch in enumerate(whole):
        for other in (again[number], batch):
            assert other.clip_ids == batch.clip_ids
            for one, two in zip(parts(other), parts(batch), strict=True):
                assert torch.equal(one, two)
        both = [half[number] for half in halves]
        assert [clip for half in both for clip in half.clip_ids] == batch.clip_ids
        if batch.prompt is not None:
            ours = [ids for half in both for ids in unpadded(half)]
            assert ours == unpadded(batch)


def parts(batch: Batch) -> Iterator[torch.Tensor]:
    for part in (*batch.clips, *batch.texts, *batch.masked, *(batch.prompt or ())):
        yield torch.as_tensor(part)


def unpadded(batch: Batch) -> list[list[int]]:
    """Questions, answers and what is hidden of these, without pads."""
    assert batch.prompt is not None
    rows = zip(
        batch.prompt.words_BL.tolist(), batch.texts.words_BL.tolist(), batch.masked.words_BL.tolist(),
        strict=True,
    )  # fmt: skip
    return [[number for part in row for number in part if number] for row in rows]


def test_weights_share_the_steps(release: Path, tmp_path: Path, asked: str) -> None:
    made = of(release, tmp_path, asked).model_dump()
    made["data"]["sources"][1]["weight"] = 9.0
    kinds = [batch.prompt is None for batch in taken(Pretrain.model_validate(made), range(60))]
    assert 1 <= sum(kinds) <= 15


@pytest.mark.parametrize(("captions", "seed"), [(True, 50), (True, LATE), (False, 50)])
def test_a_stopped_run_goes_on_with_the_same_bits(
    release: Path, tmp_path: Path, asked: str, captions: bool, seed: int
) -> None:
    """Also where what MGA alone uses had no gradient yet, so that the optimizer knew nothing of it."""
    whole = of(
        release, tmp_path / "whole", asked, captions=captions, steps=8, save_every=4, log_every=1, seed=seed
    )
    made, words = use.with_words(whole)
    done = pretrain(made, words, ALONE, progress=False)
    told = [json.loads(line) for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    kinds = [{name.split("_")[0] for name in line if name[-3:] in ("_tv", "_ta")} for line in told]
    assert all(kind in ({"qa"}, {"mga", "mgc"}) for kind in kinds)
    assert ({"mga", "mgc"} in kinds) is captions
    if seed == LATE:
        assert kinds[:4] == [{"qa"}] * 4
    assert all(0 < line["mfu"] < 1 for line in told)
    assert done.asked == {"questions": 18, "unanswered": 0, "without_clip": 0}
    shutil.copytree(tmp_path / "whole", tmp_path / "halved")
    shutil.rmtree(tmp_path / "halved/checkpoints/step-00000008")
    pretrain(made.model_copy(update={"out": str(tmp_path / "halved")}), words, ALONE, progress=False)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "halved").items():
        assert torch.equal(value, expected[name]), name


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Six small clips, each of two shapes with each of three sounds, so that neither tells the other; and
    questions about both."""
    folder = tmp_path_factory.mktemp("crossed")
    mp4s, several = [], []
    for number, (seen, heard) in enumerate(product(COLOURS, ("low hum", "drum beats", "noise bursts"))):
        made = make_scene(f"{seen} {COLOURS[seen]}", heard, seconds=0.6)
        pictures = (picture[::8, ::8] for picture in frames(made, fps=4))
        write_video(folder / "clip.mp4", pictures, 4, samples(made, 16_000)[None], 16_000)
        mp4s.append((folder / "clip.mp4").read_bytes())
        about = {"clip": clip(*divmod(number, 2))}
        several += [
            {**about, "question": "Which colour is seen?", "answer": seen, "modality": "visual"},
            {**about, "question": "What is heard?", "answer": f"A {heard}.", "modality": "audio"},
        ]
    with opened(folder / "w", recipe(split={"train": 1.0, "val": 0.0, "test": 0.0})) as workspace:
        fill(workspace, mp4s)
        write_release(workspace, progress=False)
    return folder / "w" / PREFIX, listed(folder / "qa.jsonl", several)


COLOURS = {"red": "circle", "yellow": "star"}


@pytest.mark.slow
def test_it_learns_to_answer_by_what_is_heard_and_what_is_seen(
    crossed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All right, where a question without its clip has one answer for all: two of six, and three of six."""
    monkeypatch.setattr(meteor, "lacks", lambda: "no Java here")
    release, questions = crossed
    raw = of(release, tmp_path / "run", questions, captions=False, steps=250, rate=3e-3, groups=["tva"])
    made = raw.model_dump()
    made["data"]["batch"] = 12
    made["model"]["text"]["dropout"] = made["model"]["audio"]["dropout"] = 0.0
    use.pretrain(Pretrain.model_validate(made), progress=False)
    newest = str(tmp_path / "run/checkpoints/step-00000250")
    report = chain.evaluate(newest, str(release), "train", questions=questions, progress=False)
    told = {
        name: {of: round(one[of]["value"]) for of in ("model", "text_alone", "commonest")}
        for name, one in report.details["accuracy"].items()
    }
    assert [told[name]["model"] for name in ("all", "audio", "visual")] == [100, 100, 100]
    assert told["audio"]["text_alone"] in (0, 33)
    assert told["visual"]["text_alone"] in (0, 50)
    assert told["all"]["commonest"] == 25


def test_words_of_questions_and_answers_are_in_the_vocabulary(release: Path, tmp_path: Path) -> None:
    questions = listed(
        tmp_path / "qa.jsonl",
        [{"clip": clip(0, 1), "question": "Which instrument?", "answers": ["bassoon", "a bassoon"]}],
    )
    made = of(release, tmp_path, questions).model_dump()
    made["model"]["text"]["vocabulary"] = 120
    for with_captions in (True, False):
        made["data"]["sources"] = made["data"]["sources"][0 if with_captions else 1 :]
        _, words = use.with_words(Pretrain.model_validate(made))
        for text in ("which instrument", "a bassoon", *(["ein hund bellt"] if with_captions else [])):
            assert len(words.cut(text, 9).ids) == 2 + len(text.split())


def typed(release: Path, questions: str) -> str:
    """The TOML of one who learns captions and answers."""
    text = TOML.format(release=release)
    before, line, after = text.partition(f'sources = [{{ release = "{release}" }}]')
    return before + f'{line[:-1]}, {{ release = "{release}", questions = "{questions}" }}]' + after


def test_a_list_that_teaches_nothing_is_told_in_one_line(release: Path, tmp_path: Path, asked: str) -> None:
    about: dict[str, object] = {"clip": "elsewhere00", "question": "Q?", "answer": "x"}
    lists: dict[str, list[dict[str, object]]] = {
        "none.jsonl": [about],
        "mute.jsonl": [{**about, "answer": "..."}],
        "lame.jsonl": [about, {"question": "Q?", "answer": "x"}],
    }
    for name, several in lists.items():
        listed(tmp_path / name, several)
    for name, told in (
        (
            "none.jsonl",
            r"none\.jsonl: none is about a clip of .*, split train; the first: no clip elsewhere00",
        ),
        ("mute.jsonl", r"mute\.jsonl: none of 1 questions has an answer"),
        ("lame.jsonl", r"lame\.jsonl: row 2: it lacks clip"),
        ("away.jsonl", r"away\.jsonl: not readable"),
    ):
        (tmp_path / "c.toml").write_text(typed(release, name))
        for dry_run in (True, False):
            with pytest.raises(UserError, match=f"^data.sources: questions .*{told}") as caught:
                chain.pretrain(str(tmp_path / "c.toml"), dry_run=dry_run, progress=False)
            assert "\n" not in str(caught.value)
    (tmp_path / "c.toml").write_text(
        TOML.format(release=release).replace("[[validation]]", f'[[validation]]\nquestions = "{asked}"')
    )
    with pytest.raises(UserError, match="validation: it is by retrieval, and asks nothing"):
        load(str(tmp_path / "c.toml"))


def test_what_cannot_be_learned_is_counted_and_a_dry_run_tells_it(
    release: Path, tmp_path: Path, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside it a clip without sound, a broken one, and a question that is too long."""
    rows = [json.loads(line) for line in Path(asked).read_text().splitlines()]
    rows += [{"clip": clip(0, 1), "question": "Why?"}, {"clip": clip(0, 1), "question": "Why?", "answer": ""}]
    rows += [{"clip": "elsewhere00", "question": "Q?", "answer": "x"}]
    rows += [{"clip": clip(2, 1), "question": "What is this " + "very " * 20 + "thing?", "answer": "x"}]
    listed(tmp_path / "qa.jsonl", rows)
    (tmp_path / "c.toml").write_text(typed(release, "qa.jsonl").replace("steps = 4", "steps = 16"))
    left_out = "qa.jsonl: 2 questions have no answer, 1 no clip; the first of these: no clip elsewhere00"
    counted = {"questions": 19, "unanswered": 2, "without_clip": 1}

    rehearsed = chain.pretrain(str(tmp_path / "c.toml"), dry_run=True, progress=False)
    assert counted.items() <= rehearsed.counts.items()
    assert (rehearsed.counts["clips"], rehearsed.counts["captions"]) == (13 + 11, 26)
    assert any(line.startswith(left_out) for line in rehearsed.warnings)
    assert any("a step on questions takes" in line for line in rehearsed.plan)

    trained = chain.pretrain(str(tmp_path / "c.toml"), progress=False)
    assert counted.items() <= trained.counts.items()
    assert trained.counts["truncated"] > 0
    assert f"warning: {left_out}" in capsys.readouterr().err
    card = (tmp_path / "run/best/README.md").read_text()
    assert "tiny-0.1.0 (train); tiny-0.1.0 (train, questions of qa.jsonl)" in card
    assert "- Learned by MGA (paper) times 1.5 plus MGC, in other steps by answers to questions (QA);" in card
    assert str(tmp_path) not in card


@pytest.mark.slow
@pytest.mark.parametrize("optim", ["accumulate = 2\n", "fsdp = true\n"])
def test_two_processes_train_the_model_of_one(release: Path, tmp_path: Path, asked: str, optim: str) -> None:
    """On captions and questions in turn; and go on with the same bits."""
    text = typed(release, asked).split("[optim]")[0]
    text = text.replace("[model.text]", "dropout = 0.0\n[model.text]\ndropout = 0.0")
    text += "[optim]\nsteps = 6\nsave_every = 3\nvalidate_every = 6\nlog_every = 1\nrate = 1e-3\n" + optim
    runs = []
    for count in (1, 2):
        folder = tmp_path / f"by-{count}"
        folder.mkdir()
        (folder / "small.toml").write_text(text)
        test_torchrun.start(folder, count)
        runs.append(folder / "run")
    lines = [json.loads(line) for line in (runs[1] / "log.jsonl").read_text().splitlines()]
    assert {"qa_tva", "mga_tva", "mgc_tva"} <= {name for line in lines for name in line}
    expected, found = map(weights, runs)
    for name, value in expected.items():
        assert (found[name] - value).abs().max() < 1e-4, name
    shutil.rmtree(runs[1] / "checkpoints/step-00000006")
    test_torchrun.start(runs[1].parent, 2)
    for name, value in weights(runs[1]).items():
        assert torch.equal(value, found[name]), name
