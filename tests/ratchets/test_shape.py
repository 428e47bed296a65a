"""The shape of the tree: small modules, no place for leftovers, no data set's name in the library."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "valor_data").rglob("*.py"))


def test_modules_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: lines for path, lines in long.items() if lines > 450} == {}


def test_there_is_no_junk_drawer() -> None:
    names = {part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert names & {"utils", "util", "common", "helpers", "misc", "lib", "core", "base"} == set()


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES:
        assert path.read_text().startswith('"""'), path


def test_only_the_runner_swallows_everything() -> None:
    assert [str(path) for path in MODULES if "runner" not in path.parts and _swallows(path)] == []


def _swallows(path: Path) -> bool:
    """True where a handler of everything does not end by raising again."""
    handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    broad = [h for h in handlers if h.type is None or ast.unparse(h.type) in {"Exception", "BaseException"}]
    return any(not isinstance(handler.body[-1], ast.Raise) for handler in broad)


def test_recipes_name_their_data_sets_and_the_library_does_not() -> None:
    """What is special about one data set is data: it lies in pipelines/, not in code."""
    stages = [path for folder in ("stages", "chain") for path in (ROOT / "valor_data" / folder).rglob("*.py")]
    for path in stages:
        assert not re.search(r"valor.?32k|valor.?1m|audiocaps|vggsound", path.read_text(), re.IGNORECASE), (
            path
        )


def test_no_machine_path_or_index_address_stands_in_the_project() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    pattern = re.compile(r"(?<![\w.])/(?:work|root|tmp)/|index-url|pypi\.org/simple|registry=")
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".sql", ".json", ""} and path.is_file():
            if path == Path(__file__):
                continue
            assert not pattern.search(path.read_text(encoding="utf-8")), name
