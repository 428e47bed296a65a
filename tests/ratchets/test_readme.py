"""Every command in the README runs, and every Python line too."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ENVIRONMENT, Finished
from tests.ratchets.generate import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = [
    line[2:] for block in re.findall(r"```console\n(.*?)```", TEXT, re.S) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def desk(finished: Finished, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's reader has: the demo's workspace and the annotation files."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "demo-workspace").mkdir()
    shutil.copytree(finished.workspace, folder / "demo-workspace" / "workspace")
    shutil.copy(finished.recipe, folder / "demo-workspace" / "demo.toml")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name in ("desc_train.json", "desc_val.json", "desc_test.json"):
        shutil.copy(real_data / "meta" / "valor32k" / name, folder / name)
        (folder / "valor32k").mkdir(exist_ok=True)
        shutil.copy(real_data / "meta" / "valor32k" / name, folder / "valor32k" / name)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", CONSOLE)
def test_a_command_of_the_readme_runs(line: str, desk: Path) -> None:
    """What needs YouTube is parsed in full and planned (`--dry-run`) or explained (`--help`)."""
    words = shlex.split(line, comments=True)
    assert words[0] == "valor-data", line
    if "needs YouTube" in line:
        words.append("--dry-run" if words[1] in ("fetch", "filter", "run") else "--help")
        words = [word for word in words if "--explain" not in words or word != "--dry-run"]
        if "--explain" in words:
            words.append("--help")
    ran = subprocess.run(
        [sys.executable, "-m", "valor_data", *words[1:]],
        cwd=desk,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_the_python_of_the_readme_runs(desk: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S))
    code += "\nassert len(captions) and len(catalog) and sample['txt']\n"
    path = os.pathsep.join([str(ROOT), *sys.path])
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", code], cwd=desk, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_the_examples_run(desk: Path) -> None:
    example = [sys.executable, "examples/find_quiet_clips.py", "demo-workspace/workspace"]
    ran = subprocess.run(example, cwd=desk, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT})
    assert ran.returncode == 0, ran.stderr
    assert "LUFS" in ran.stdout


@pytest.mark.slow
def test_the_example_that_trains_runs(desk: Path) -> None:
    release = "demo-workspace/workspace/releases/demo-0.1.0"
    example = [sys.executable, "examples/train_on_demo.py", release, "run"]
    path = os.pathsep.join([str(ROOT), *sys.path])
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    ran = subprocess.run(example, cwd=desk, capture_output=True, text=True, env=env)
    assert ran.returncode == 0, ran.stderr
    for word in ("mgc_tva", "T-AV", "CIDEr", "shapes-"):
        assert word in ran.stdout


def test_every_make_target_is_explained() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = [
        "demo",
        "test",
        "check",
        "lint",
        "types",
        "schemas",
        "docs",
        "bench",
        "pretrain",
        "annotate",
        "clean",
    ]
    assert [name for name in wanted if f"make {name}" not in shown] == []


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), ROOT / "pipelines/README.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)
