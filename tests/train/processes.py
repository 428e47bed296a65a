"""One of several processes that train on a share of a batch: `processes.py RANK WORLD FOLDER`."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from valor_data.train.config import AudioConfig, ModelConfig, TextConfig, VisionConfig
from valor_data.train.masking import Dice, Vocabulary, mask_words
from valor_data.train.model import Clips, Texts, Valor

TOWER = {"width": 32, "layers": 2, "heads": 2}
CLIPS = 8
VOCABULARY = Vocabulary(size=60, pad=0, first=2, last=3, mask=4, ordinary=5)


def model() -> Valor:
    """The same small model every time, without dropout."""
    torch.manual_seed(0)
    return Valor(
        ModelConfig(
            vision=VisionConfig(resolution=32, patch=16, **TOWER),
            audio=AudioConfig(slice_frames=32, mel_bins=32, dropout=0.0, **TOWER),
            text=TextConfig(vocabulary=60, positions=16, dropout=0.0, **TOWER),
            contra_dim=16,
            parity="released",
        )
    )


def gradients(first: int, stop: int) -> dict[str, torch.Tensor]:
    """Gradients, after the mean over processes, of the clips from `first` to before `stop`."""
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(5, 60, (CLIPS, 7), generator=generator)
    words[:, 0], words[:, 6] = 2, 3
    words[1, 4:] = torch.tensor([3, 0, 0])
    masked = mask_words(words, VOCABULARY, Dice((1,), CLIPS))
    frames = torch.randint(0, 256, (CLIPS, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)
    slices = torch.randn(CLIPS, 1, 32, 32, generator=generator)
    has_audio = torch.ones(CLIPS, dtype=torch.bool)
    has_audio[[2, 5]] = False
    share = slice(first, stop)
    length = words.shape[1]
    mine = (masked.chosen_M // length >= first) & (masked.chosen_M // length < stop)
    own = type(masked)(masked.words_BL[share], masked.chosen_M[mine] - first * length, masked.truth_M[mine])
    valor = model()
    clips = Clips(
        frames[share], torch.ones(stop - first, dtype=torch.bool), slices[share], has_audio[share], False
    )
    losses = valor(clips, Texts(words[share], words[share] != 0), own)
    losses.total(1.5).backward()
    found = {}
    for name, parameter in valor.named_parameters():
        assert parameter.grad is not None, name
        found[name] = parameter.grad.clone()
        if dist.is_initialized():
            dist.all_reduce(found[name])
            found[name] /= dist.get_world_size()
    return found


def main() -> None:
    """Write this process's gradients into the folder."""
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    share = CLIPS // world
    torch.save(gradients(rank * share, (rank + 1) * share), folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
