"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.objectstore import empty_bucket, s3_server

_DEFAULT_REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real clips, lists and models (`VALOR_DATA_REAL`); the test is skipped without it."""
    folder = Path(os.environ.get("VALOR_DATA_REAL", _DEFAULT_REAL))
    if not folder.is_dir():
        pytest.skip(f"no real media: {folder} is missing; set VALOR_DATA_REAL")
    return folder


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def s3_root(_s3_server: str) -> Iterator[str]:
    """`s3://<bucket>` of an empty object store on loopback; child processes find it by the environment."""
    with empty_bucket(_s3_server) as root:
        yield root
