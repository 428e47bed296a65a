"""A first model of the demo's release: train it, score it, read what it says of a clip.

python examples/train_on_demo.py demo-workspace/workspace/releases/demo-0.1.0 my-run
"""

import sys
from itertools import islice
from pathlib import Path

from valor_data import chain
from valor_data.train.checkpoint import newest

CONFIG = """
name = "first"
out = "."
device = "cpu"

[model]
contra_dim = 32
vision = {{ resolution = 64, width = 64, layers = 2, heads = 2 }}
audio = {{ width = 64, layers = 2, heads = 2 }}
text = {{ vocabulary = 400, width = 64, layers = 2, heads = 2 }}   # words of the captions

[data]
sources = [{{ release = "{release}", split = "train" }}]
batch = 4
workers = 0

[optim]
steps = {steps}
rate = 1e-3
"""


def main(release: str, out: str, steps: int = 40) -> None:
    """Print the losses of the last step, and what the model can do on clips that it has not seen."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "first.toml"
    config.write_text(CONFIG.format(release=Path(release).resolve(), steps=steps), encoding="utf-8")
    print(*chain.pretrain(str(config)).plan, sep="\n")
    checkpoint = str(newest(folder))
    print(*chain.evaluate(checkpoint, release, "test").plan, sep="\n")
    for said in islice(chain.caption(checkpoint, [release], split="test"), 3):
        print(said.name, said[1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
