"""The store over a folder, memory and a real S3 server: the same behaviour, and each one's faults."""

import errno
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.store import Store

KEY = "clips/exact-12345678/0a/-_x-2Abohj8VY_30000_40000.mp4"


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield Store.open(str(tmp_path / "a [b]*"))
    elif request.param == "s3":
        yield Store.open(f"{request.getfixturevalue('s3_root')}/some where/-x")
    else:
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        yield Store.open("memory://place/inner")
        memory.store.clear()


def test_bytes_come_back_and_are_replaced(store: Store) -> None:
    store.put_bytes(KEY, b"first")
    store.put_bytes(KEY, b"second one")
    assert store.get_bytes(KEY) == b"second one"
    assert store.size(KEY) == 10
    assert store.exists(KEY)
    with store.open_read(KEY) as file:
        file.seek(7)
        assert file.read() == b"one"


def test_put_file_copies_and_leaves_the_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "clip.bin"
    path.write_bytes(os.urandom(300_000))
    store.put_file(KEY, path)
    assert store.get_bytes(KEY) == path.read_bytes()


def test_put_file_of_a_missing_file_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file(KEY, tmp_path / "none")
    assert not store.exists(KEY)


def test_local_gives_a_file(store: Store) -> None:
    store.put_bytes(KEY, b"media")
    with store.local(KEY) as path:
        assert path.read_bytes() == b"media"
        assert path.suffix == ".mp4"
    assert path.exists() == store.is_local


def test_a_missing_object_is_file_not_found(store: Store) -> None:
    assert not store.exists("none/x")
    for ask in (store.get_bytes, store.size, lambda key: store.local(key).__enter__()):
        with pytest.raises(FileNotFoundError):
            ask("none/x")


def test_list_is_sorted_by_whole_key_and_stays_in_its_folder(store: Store) -> None:
    keys = ["a/b/2", "a/b/10", "a-b/1", "a/b", "a/c", "ab/1", "z"]
    if store.is_local:
        keys.remove("a/b")  # a folder cannot be a file too
    for key in keys:
        store.put_bytes(key, b"")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("a")) == list(store.list("a/")) == sorted(k for k in keys if k.startswith("a/"))
    assert list(store.list("none")) == []


def test_delete_takes_what_is_there(store: Store) -> None:
    for key in ("a/1", "a/2", "a/3"):
        store.put_bytes(key, b"")
    store.delete(["a/1", "missing", "a/3"])
    assert list(store.list("")) == ["a/2"]


def test_create_exclusive_lets_one_of_many_through(store: Store) -> None:
    won: list[int] = []

    def rival(number: int) -> None:
        if store.create_exclusive("lock", str(number).encode()):
            won.append(number)

    rivals = [threading.Thread(target=rival, args=(number,)) for number in range(8)]
    for thread in rivals:
        thread.start()
    for thread in rivals:
        thread.join()
    assert len(won) == 1
    assert store.get_bytes("lock") == str(won[0]).encode()
    store.delete(["lock"])
    assert store.create_exclusive("lock", b"again")


def test_it_pickles_as_its_root(store: Store) -> None:
    store.put_bytes(KEY, b"x")
    again = pickle.loads(pickle.dumps(store))
    assert again.root == store.root == Store.open(store.root).root
    assert again.get_bytes(KEY) == b"x"
    assert again.path(KEY) == f"{store.root}/{KEY}"


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "a\\..\\x", "", ".", "a//b", "a/./b", "a/", "a\0b", ".."]
)
def test_keys_stay_inside_the_root(key: str) -> None:
    store = Store.open("memory://place/inner")
    for refused in (
        lambda: store.put_bytes(key, b""),
        lambda: store.get_bytes(key),
        lambda: store.delete([key]),
        lambda: store.create_exclusive(key, b""),
        lambda: store.path(key),
    ):
        with pytest.raises(ValueError, match="no key"):
            refused()


@given(st.text(alphabet="ab./\\-_", max_size=12))
def test_no_key_leaves_the_root(key: str) -> None:
    store = Store.open("memory://place/inner")
    try:
        path = store.path(key)
    except ValueError:
        return
    inside = path.removeprefix("memory:///place/inner/")
    assert inside == key
    assert os.path.normpath(f"/top/inner/{inside}") == f"/top/inner/{inside}"


def test_roots_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store.open("work/").root == str(tmp_path / "work")
    assert Store.open(f"file://{tmp_path}/work").root == str(tmp_path / "work")
    assert Store.open("work").is_local
    assert not (tmp_path / "work").exists()  # opening touches nothing


def test_unusable_roots_are_told_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        Store.open(str(tmp_path / "file"))
    with pytest.raises(UserError, match="not known"):
        Store.open("zork://x/y")
    with pytest.raises(UserError, match="password") as told:
        Store.open("ftp://me:secret@host/x")
    assert "secret" not in str(told.value)


def test_a_missing_backend_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match=r"pip install 'valor-data\[s3\]'"):
        Store.open("s3://bucket/x")


def test_a_signed_address_is_open_to_anybody_for_a_while(s3_root: str, tmp_path: Path) -> None:
    """How annotators get clips of a workspace in an object store."""
    store = Store.open(f"{s3_root}/w")
    store.put_bytes("clips/a b.mp4", b"0123456789")
    with requests.Session() as visitor:
        visitor.trust_env = False
        found = visitor.get(store.signed("clips/a b.mp4", 60), headers={"Range": "bytes=2-4"}, timeout=30)
    assert (found.status_code, found.content) == (206, b"234")
    with pytest.raises(UserError, match="signs no addresses"):
        Store.open(str(tmp_path)).signed("a", 60)


def test_a_missing_bucket_is_told(s3_root: str) -> None:
    store = Store.open(f"{s3_root}-missing/x")
    with pytest.raises(UserError, match="create the bucket"):
        store.put_bytes("a", b"")
    with pytest.raises(UserError, match="create the bucket"):
        list(store.list(""))


def test_missing_credentials_are_told(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID"):
        Store.open(f"{s3_root}/x").put_bytes("a", b"")


def test_a_full_disk_stops_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(str(tmp_path / "w"))
    store.put_bytes("a/x", b"old")
    source = tmp_path / "source"
    source.write_bytes(b"new")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for put in (
        lambda: store.put_bytes("a/x", b"new"),
        lambda: store.put_file("a/x", source),
        lambda: store.create_exclusive("a/y", b"new"),
    ):
        with pytest.raises(FatalError, match="disk is full; free some space") as told:
            put()
        assert str(tmp_path) in str(told.value)
        assert "\n" not in str(told.value)
    assert [path.name for path in (tmp_path / "w" / "a").iterdir()] == ["x"]
    assert store.get_bytes("a/x") == b"old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir(mode=0o500)
    with pytest.raises(UserError, match="not permitted"):
        Store.open(str(tmp_path / "w")).put_bytes("a/x", b"")


def test_the_sweep_takes_what_killed_writers_left(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path))
    store.put_bytes(KEY, b"whole")
    for folder in (tmp_path, tmp_path / "clips", tmp_path / "tables" / "clips"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / layout.temporary_name()).write_bytes(b"half")
    assert list(store.list("")) == [KEY]
    assert store.sweep_temporary() == 3
    assert store.sweep_temporary() == 0
    assert store.get_bytes(KEY) == b"whole"
