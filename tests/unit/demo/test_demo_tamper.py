"""The demo's thief: alters one digit of one entry in a copy, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from affidavit.cli.demo.tamper import alter_moment
from affidavit.errors import Corruption
from affidavit.tlog.tiles import encode_entries, entries_path


def _log(root: Path, count: int) -> list[bytes]:
    entries = [b'{"id":"%d","time":{"at":"2026-11-22T14:17:03.000000000Z"}}' % n for n in range(count)]
    for start in range(0, count, 256):
        some = entries[start : start + 256]
        path = root / "log" / entries_path(start // 256, len(some))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_entries(some))
    return entries


@pytest.mark.parametrize(("count", "index"), [(7, 3), (7, 0), (300, 255), (300, 256), (300, 299), (256, 100)])
def test_one_byte_of_the_asked_entry_is_altered(tmp_path: Path, count: int, index: int) -> None:
    root, copy = tmp_path / "data", tmp_path / "copy"
    _log(root, count)
    altered = alter_moment(root, copy, index)
    before = (root / altered.path.relative_to(copy)).read_bytes()
    after = altered.path.read_bytes()
    assert [n for n in range(len(before)) if before[n] != after[n]] == [altered.offset]
    assert (chr(altered.before), chr(altered.after)) == ("7", "8")
    assert b'{"id":"%d","time":{"at":"2026-11-22T14:18' % index in after


def test_the_original_is_left_alone(tmp_path: Path) -> None:
    root, copy = tmp_path / "data", tmp_path / "copy"
    _log(root, 5)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    alter_moment(root, copy, 2)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_an_entry_that_is_not_there(tmp_path: Path) -> None:
    _log(tmp_path / "data", 5)
    with pytest.raises(Corruption) as told:
        alter_moment(tmp_path / "data", tmp_path / "copy", 5)
    assert told.value.code == "demo.entry"
