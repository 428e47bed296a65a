"""What devices can do: peaks of those whose data sheets are known, of a processor what it is seen to do."""

import time
from pathlib import Path
from typing import NamedTuple

import torch

from valor_data.train.linear import linear

TERA, GIGA = 1e12, 1e9


class Device(NamedTuple):
    """A device's limits."""

    name: str
    half: float | None
    """Floating-point operations a second in bf16 (fp16 where it has no bf16), dense, on its matrix units."""
    single: float
    """The same in fp32, which the trainer does not round to TF32."""
    bandwidth: float
    """Bytes a second of its memory."""
    memory: float
    """Bytes."""

    def peak(self, precision: str) -> float | None:
        """Operations a second in a precision; None where it is not known."""
        return self.single if precision == "fp32" else self.half


H100 = Device("H100", 989.4 * TERA, 66.9 * TERA, 3350 * GIGA, 80 * GIGA)
A100 = Device("A100", 312 * TERA, 19.5 * TERA, 2039 * GIGA, 80 * GIGA)
_KNOWN = (  # what the driver's name of a device holds; the first that fits counts
    ("H200", Device("H200", 989.4 * TERA, 66.9 * TERA, 4800 * GIGA, 141 * GIGA)),
    ("H100 PCIe", Device("H100 PCIe", 756 * TERA, 51.2 * TERA, 2000 * GIGA, 80 * GIGA)),
    ("H100", H100),
    ("A100-SXM4-40GB", A100._replace(name="A100 40 GB", bandwidth=1555 * GIGA, memory=40 * GIGA)),
    ("A100-PCIE-40GB", A100._replace(name="A100 40 GB", bandwidth=1555 * GIGA, memory=40 * GIGA)),
    ("A100", A100),
    ("L40S", Device("L40S", 362 * TERA, 91.6 * TERA, 864 * GIGA, 48 * GIGA)),
    ("A10G", Device("A10G", 70 * TERA, 31.5 * TERA, 600 * GIGA, 24 * GIGA)),
    ("V100", Device("V100", 125 * TERA, 15.7 * TERA, 900 * GIGA, 32 * GIGA)),
    ("T4", Device("T4", 65 * TERA, 8.1 * TERA, 320 * GIGA, 16 * GIGA)),
)


def known(name: str) -> Device | None:
    """A device by the name that its driver gives; None where its peak is not known here."""
    return next((device for part, device in _KNOWN if part in name), None)


def here(device: torch.device) -> Device | None:
    """What a process trains on. A processor is measured, which takes a third of a second."""
    if device.type == "cuda":
        return known(torch.cuda.get_device_name(device))
    return measured_cpu()


def measured_cpu(rounds: int = 5) -> Device:
    """This machine's processor with torch's threads, as it is loaded now: the best of a few linear layers in
    fp32, by the library that the model's own take, and of a few copies. Half precision is not looked at."""
    side, copied = 1024, 1 << 24
    left, right, large, into = (torch.ones(size) for size in ((side, side), (side, side), copied, copied))
    products, copies = [], []
    with torch.no_grad():
        linear(left, right)  # the first one makes its threads
        for _ in range(rounds):
            begun = time.perf_counter()
            linear(left, right)
            products.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            into.copy_(large)
            copies.append(time.perf_counter() - begun)
    return Device("cpu", None, 2 * side**3 / min(products), 8 * copied / min(copies), memory_bytes()[1])


def free_bytes(device: torch.device) -> float:
    """Memory that a device has left."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return memory_bytes()[0]


def memory_bytes() -> tuple[float, float]:
    """What is available of the machine's memory, and all of it; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf"), float("inf")
    said = {name: float(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
    return said["MemAvailable"], said["MemTotal"]
