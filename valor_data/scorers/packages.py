"""Packages of the extras: loaded when they are needed, named when they are missing; and weight files.

A package's weights can be taken without importing the package: silero-vad's own code would load torch.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from valor_data.errors import UserError


def load(module: str, extra: str) -> Any:
    """The module. Raises UserError with the pip line where it, or what it needs, is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(_mend(module, extra, f" ({error})")) from error


def file_in(package: str, pattern: str, extra: str) -> Path:
    """The file of an installed package that the glob pattern finds (the last of several, by name).

    The package is not imported. Raises UserError with the pip line where there is no such file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(folder).glob(pattern))
        if found:
            return found[-1]
    raise UserError(_mend(package, extra, f": it has no file {pattern}" if spec else ""))


def session(weights: Path) -> Any:
    """An onnxruntime session on the CPU that keeps to one thread and gives memory back.

    Raises UserError for a file that is no ONNX network.
    """
    runtime = load("onnxruntime", "models")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena never shrinks: one long clip would stay in every worker
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class but this
        raise UserError(f"{weights}: onnxruntime cannot open it as a network: {error}") from error


def fingerprint(weights: Iterable[Path]) -> str:
    """Eight hex digits of the SHA-256 over the files' contents, in the order given."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:8]


def _mend(package: str, extra: str, why: str) -> str:
    return f"the package {package} is missing or unfit{why}; run: pip install 'valor-data[{extra}]'"
