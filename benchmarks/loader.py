"""Clips that a loader makes ready in a CPU second, from the payload `train` and from what it spares.

    python benchmarks/loader.py [FOLDER OF CLIPS]

Clips of 640x360, 25 frames a second, 10 s, 44.1 kHz stereo are rendered (noise on a moving picture, as dear
to code as footage), or real ones are taken. Each is derived (256 pixels, 4 frames a second; flac), and both
forms lie in releases of three copies of each. A side hands on batches of 8: 8 frames of 224 pixels and one
slice of the log-mel spectrum a clip.

`ours` is the trainer's own way: index, random frames and slices, collation, words, hidden words. `bound` is
what of that nobody can leave out: the same frames, sound and spectra, from bytes in memory. `original` is
`ours` on the clips as fetched. `webdataset` is how one would write it without us: plain webdataset in a
DataLoader, PyAV that decodes a clip from its first frame on, the same spectrum. `torchcodec` is the same with
torchcodec's decoders, where it is installed and finds the libraries of an ffmpeg.

All sides run in turn in one process, A B C A B C, in one thread; figures are CPU time, ratios medians of the
ratios of neighbours. `cold` does so after the kernel has let go of the shards, by the clock. Last: what the
model of pipelines/pretrain-tiny.toml takes for a step beside what its batch costs a loading process.
"""

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch
import webdataset
from derive import rendered
from numpy.typing import NDArray
from shard_read import Samples, release
from torch.utils.data import DataLoader

from valor_data import layout
from valor_data.media.derive import derive
from valor_data.media.take import take_frames, take_sound
from valor_data.recipe import Derive
from valor_data.signals.fbank import log_mel
from valor_data.train import config as configs
from valor_data.train import optim
from valor_data.train.batch import Batch, ClipSet, Collate, Decoder, Schedule, Share, batches, open_releases
from valor_data.train.config import AudioConfig, DataConfig, ModelConfig, Pretrain, VisionConfig
from valor_data.train.model import Valor
from valor_data.train.sampling import pick, slices
from valor_data.train.words import Words

CLIPS, COPIES, ROUNDS, BATCH, FRAMES, SIDE, RATE = 6, 3, 5, 8, 8, 224, 16_000
BOUNDS = {"original": 5.0, "bound": 0.9}
"""Least ratio of ours to theirs, in clips a CPU second."""
CAPTION = "a moving pattern hums while a steady noise is heard behind it and nothing else happens at all"
TINY = Path(__file__).parents[1] / "pipelines/pretrain-tiny.toml"

Members = Mapping[str, bytes]
Pass = Callable[[], int]
"""Goes through all clips once; gives their number."""


def both_payloads(clips: list[Path], scratch: Path) -> tuple[Samples, Samples]:
    """The samples of a release as fetched, and of one derived; facts as ours have them."""
    fetched: Samples = []
    derived: Samples = []
    for number, clip in enumerate(clips):
        mp4, flac = scratch / "derived.mp4", scratch / "derived.flac"
        pair = derive(clip, Derive(), 10_000, mp4, flac)
        assert pair.picture, clip
        assert pair.has_sound, clip
        for copy in range(COPIES):
            key = layout.clip_id(f"{number:09d}_{copy}", 30_000, 40_000)
            facts = {"json": json.dumps({"clip_id": key, "captions": [{"text": CAPTION}]}).encode(),
                     "txt": CAPTION.encode()}  # fmt: skip
            fetched.append((key, {"mp4": clip.read_bytes(), **facts}))
            derived.append((key, {"mp4": mp4.read_bytes(), "flac": flac.read_bytes(), **facts}))
    return fetched, derived


def settings(folder: Path) -> tuple[DataConfig, ModelConfig]:
    """Eight frames and a slice of a clip, in the base model's form."""
    data = DataConfig.model_validate(
        {"sources": [{"release": str(folder)}], "frames": FRAMES, "slices": 1, "batch": BATCH}
    )
    return data, ModelConfig(vision=VisionConfig(resolution=SIDE), audio=AudioConfig())


def batches_of(data: DataConfig, model: ModelConfig, words: Words, steps: int) -> Iterator[Batch]:
    """The trainer's own, in this process."""
    readers = open_releases(data.sources)
    schedule = Schedule([len(reader) for reader in readers], [1.0], data.batch, 0)
    collate = Collate(data, model, words, 0, fixed=False)
    clips = ClipSet(readers, Decoder(data, model, 0))
    yield from batches(clips, schedule, collate, range(steps), workers=0, share=Share())
    for reader in readers:
        reader.close()


def ours(folder: Path, clips: int, words: Words) -> Pass:
    """All clips by our loader."""
    data, model = settings(folder)
    steps = -(-clips // BATCH)

    def work() -> int:
        for batch in batches_of(data, model, words, steps):
            assert not batch.faults, batch.faults
            assert batch.clips.whole
        return steps * BATCH

    return work


def bound(samples: Samples) -> Pass:
    """Frames, sound and spectra of bytes in memory."""

    def work() -> int:
        rng = np.random.default_rng(0)
        for _, members in samples:
            assert take_frames(members["mp4"], lambda count: pick(count, FRAMES, rng), SIDE) is not None
            sound = take_sound(members["flac"], RATE)
            assert sound is not None
            slices(log_mel(sound, RATE), 512)
        return len(samples)

    return work


def by_pyav(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample of plain webdataset, decoded as one would."""
    with av.open(io.BytesIO(sample["mp4"])) as container:
        container.streams.video[0].thread_count = 1
        frames = list(container.decode(video=0))
    chosen = [frames[number] for number in pick(len(frames), FRAMES, np.random.default_rng())]
    pixels = [frame.reformat(width=SIDE, height=SIDE, format="rgb24").to_ndarray() for frame in chosen]
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    with av.open(io.BytesIO(sample["flac"])) as container:
        sounds = [part.to_ndarray()[0] for frame in container.decode(audio=0)
                  for part in resampler.resample(frame)]  # fmt: skip
        sounds += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return _made(torch.from_numpy(np.stack(pixels)), np.concatenate(sounds), sample)


def by_torchcodec(sample: dict[str, Any]) -> dict[str, Any]:
    """The same with torchcodec, which takes frames by their number and resizes them on its way."""
    from torchcodec.decoders import AudioDecoder, VideoDecoder  # type: ignore[import-not-found, unused-ignore]

    video = VideoDecoder(sample["mp4"], dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate")
    frames_FHWC = video.get_frames_at(pick(len(video), FRAMES, np.random.default_rng())).data
    resized = torch.nn.functional.interpolate(
        frames_FHWC.permute(0, 3, 1, 2), (SIDE, SIDE), mode="bilinear", antialias=True
    ).permute(0, 2, 3, 1)
    sound = AudioDecoder(sample["flac"], sample_rate=RATE, num_channels=1).get_all_samples().data[0]
    return _made(resized.contiguous(), sound.numpy(), sample)


def _made(frames_FHWC: torch.Tensor, sound: NDArray[np.float32], sample: dict[str, Any]) -> dict[str, Any]:
    mels = slices(log_mel(sound, RATE), 512)
    chosen = mels[pick(len(mels), 1, np.random.default_rng())]
    return {"frames": frames_FHWC, "mels": torch.from_numpy(chosen), "text": sample["txt"].decode()}


def streamed(folder: Path, clips: int, decode: Callable[[dict[str, Any]], dict[str, Any]]) -> Pass:
    """All clips by plain webdataset and torch's DataLoader, in this process."""
    urls = sorted(map(str, folder.glob("train/*.tar")))

    def work() -> int:
        found = webdataset.WebDataset(urls, shardshuffle=False).shuffle(100).map(decode)
        return sum(len(batch["text"]) for batch in DataLoader(found, batch_size=BATCH))

    assert work() == clips
    return work


class Took(NamedTuple):
    """Of a clip."""

    cpu: float
    clock: float


def took(work: Pass) -> Took:
    clock, cpu = time.perf_counter(), time.process_time()
    clips = work()
    return Took((time.process_time() - cpu) / clips, (time.perf_counter() - clock) / clips)


def forget(folder: Path) -> None:
    """Ask the kernel to let go of the shards."""
    for path in folder.glob("train/*.tar"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def torchcodec_works(members: Members) -> str:
    """Empty, or why it does not."""
    try:
        by_torchcodec(dict(members))
    except (ImportError, RuntimeError, OSError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


def step_of_tiny(folder: Path, words: Words) -> tuple[float, float]:
    """CPU seconds of a step of the tiny model, and of making its batch."""
    tiny: Pretrain = configs.load(str(TINY))
    data = tiny.data.model_copy(update={"sources": settings(folder)[0].sources})
    text = tiny.model.text.model_copy(update={"vocabulary": words.vocabulary.size})
    sizes = tiny.model.model_copy(update={"text": text})
    model = Valor(sizes)
    optimizer = optim.adamw(model, tiny.optim)
    steps, loads = [], []
    made = batches_of(data, sizes, words, ROUNDS + 2)
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        batch = next(made)
        loads.append(time.process_time() - start)
        start = time.process_time()
        optimizer.zero_grad()
        model(batch.clips, batch.texts, batch.masked).total(1.5).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), tiny.optim.clip_norm)
        optimizer.step()
        steps.append(time.process_time() - start)
    return statistics.median(steps), statistics.median(loads)


def told(sides: dict[str, Pass], rounds: list[dict[str, Took]], *, cold: bool) -> bool:
    """Print figures and ratios; whether the bounds hold."""
    held = True
    own = statistics.median(one["ours"].clock if cold else one["ours"].cpu for one in rounds)
    unit = "clips a second" if cold else "clips per CPU s"
    print(f"{'cold' if cold else 'warm':4} {'ours':11} {1 / own:7.1f} {unit}")
    for name in sides:
        if name == "ours":
            continue
        kind = 1 if cold else 0
        ratio = statistics.median(one[name][kind] / one["ours"][kind] for one in rounds)
        rate = statistics.median(1 / one[name][kind] for one in rounds)
        least = None if cold else BOUNDS.get(name)
        held = held and (least is None or ratio >= least)
        verdict = "" if least is None else f" (>= {least:g}) {'ok' if ratio >= least else 'MISSED'}"
        print(f"     {name:11} {rate:7.1f} {unit}   ours / {name} {ratio:5.2f}{verdict}")
    return held


def main(words: list[str]) -> int:
    """Run all sides; exit code 1 when a bound is missed."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = sorted(Path(words[0]).iterdir()) if words else rendered(folder, CLIPS)
        fetched, derived = both_payloads(clips, folder)
        release(folder / "video", fetched)
        release(folder / "train", derived)
        vocabulary, count = Words.of([CAPTION], 100), len(derived)
        sides = {
            "ours": ours(folder / "train", count, vocabulary),
            "bound": bound(derived),
            "original": ours(folder / "video", count, vocabulary),
            "webdataset": streamed(folder / "train", count, by_pyav),
        }
        lacking = torchcodec_works(derived[0][1])
        if lacking:
            print(f"torchcodec left out: {lacking}")
        else:
            sides["torchcodec"] = streamed(folder / "train", count, by_torchcodec)
        print(f"{len(clips)} clips, {COPIES} copies of each: {_kilobytes(fetched):.0f} kB as fetched, "
              f"{_kilobytes(derived):.0f} kB derived")  # fmt: skip
        warm = [{name: took(work) for name, work in sides.items()} for _ in range(ROUNDS + 1)][1:]
        held = told(sides, warm, cold=False)
        cold: list[dict[str, Took]] = []
        reading = {name: work for name, work in sides.items() if name != "bound"}
        for _ in range(ROUNDS):
            cold.append({})
            for name, work in reading.items():
                forget(folder / ("video" if name == "original" else "train"))
                cold[-1][name] = took(work)
        told(reading, cold, cold=True)
        step, load = step_of_tiny(folder / "train", vocabulary)
    fits = load <= step
    print(f"tiny: a step {step:.3f} CPU s, its batch {load:.3f}: {load / step:.2f} loading processes keep up "
          f"(<= 1) {'ok' if fits else 'MISSED'}")  # fmt: skip
    return 0 if held and fits else 1


def _kilobytes(samples: Samples) -> float:
    return sum(len(data) for _, members in samples for data in members.values()) / len(samples) / 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
