"""The folder source: what it reads, and that nothing outside, linked, special or oversized is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affidavit.archive.folder import Folder
from affidavit.errors import Corruption, InvalidInput, Unavailable


def fill(root: Path, *paths: str) -> Folder:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return Folder(root)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    source = fill(tmp_path, "tile/0/000")
    assert b"tile/0/000" == source.get("tile/0/000", 10)
    assert str(tmp_path) == source.name


def test_an_empty_file_is_not_an_absent_one(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert b"" == Folder(tmp_path).get("empty", 0)


@pytest.mark.parametrize("path", ["b", "a/b", "a/b/c", "file/below"])
def test_an_absent_file_is_none(tmp_path: Path, path: str) -> None:
    assert None is fill(tmp_path, "a/x", "file").get(path, 10)


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corruption) as refused:
        fill(tmp_path, "checkpoint").get("checkpoint", 9)
    assert "archive.too_large" == refused.value.code


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a\\b",
        "a\nb",
        "é",
        "a/" * 16 + "a",
        "a" * 1025,
    ],
)
def test_paths_that_leave_or_are_odd_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Folder(tmp_path).get(path, 10)
    assert "archive.path" == refused.value.code


def test_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "real/file")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").symlink_to(tmp_path / "real/file")
    (tmp_path / "root/folder").symlink_to(tmp_path / "real")
    (tmp_path / "root/dangling").symlink_to("nowhere")
    for path in ("file", "folder/file", "folder", "dangling"):
        with pytest.raises(Corruption) as refused:
            Folder(tmp_path / "root").get(path, 100)
        assert "archive.link" == refused.value.code


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    fill(tmp_path / "real", "file")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert b"file" == Folder(tmp_path / "link").get("file", 4)


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in ("pipe", "folder"):
        with pytest.raises(Corruption) as refused:
            Folder(tmp_path).get(path, 100)
        assert "archive.not_a_file" == refused.value.code


def test_a_folder_that_is_gone_is_not_an_absent_file(tmp_path: Path) -> None:
    source = Folder(tmp_path / "gone")
    with pytest.raises(Unavailable):
        source.get("checkpoint", 100)
    with pytest.raises(Unavailable):
        list(source.paths() or ())


def test_a_file_that_may_not_be_read_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path, "checkpoint")

    def fails(*arguments: object, **named: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fails)
    with pytest.raises(Unavailable) as refused:
        source.get("checkpoint", 100)
    assert "archive.unreadable" == refused.value.code
    assert "Input/output error" in str(refused.value)


def test_a_file_that_grows_while_it_is_read_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path, "checkpoint")
    monkeypatch.setattr(os, "read", lambda file, count: b"x" * count)
    with pytest.raises(Corruption) as refused:
        source.get("checkpoint", 1000)
    assert "archive.too_large" == refused.value.code


def test_paths_come_in_the_order_of_whole_paths(tmp_path: Path) -> None:
    files = ["a.b", "a/b", "a/c/d", "a0", "checkpoint", "tile/0/000", "tile/0/000.p/3"]
    source = fill(tmp_path, *files)
    (tmp_path / "zlink").symlink_to(tmp_path)
    expected = [*sorted(files), "zlink"]
    assert expected == sorted(expected) == list(source.paths() or ())


def test_folders_nested_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / Path(*["d"] * 20)).mkdir(parents=True)
    with pytest.raises(Corruption) as refused:
        list(Folder(tmp_path).paths() or ())
    assert "archive.depth" == refused.value.code
