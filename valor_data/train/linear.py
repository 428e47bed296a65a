"""Linear layers that use the whole width of a CPU's vectors.

On a CPU torch multiplies fp32 by MKL, which on AMD's processors leaves half of AVX-512 unused. oneDNN, which
torch brings too, does not: a layer takes half the time there. torch reaches it only by tensors in its own
layout; the two copies that this needs are cheap beside the product. `torch.backends.mkldnn.enabled` switches
it off.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` times the transposed weight, plus the bias: as torch's own, by the faster library."""
    if not _by_onednn(x):
        return F.linear(x, weight, bias)
    return F.linear(x.to_mkldnn(), weight, bias).to_dense()


class Linear(nn.Linear):
    """torch's linear layer, by the faster library."""

    def forward(self, input: Tensor) -> Tensor:
        """Last dimension from `in_features` to `out_features`."""
        return linear(input, self.weight, self.bias)


def _by_onednn(x: Tensor) -> bool:
    return bool(
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
    )
