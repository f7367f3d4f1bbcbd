"""The Go project's note and tlog packages accept the logs that we write, and refuse what was tampered with."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from gochecker_build import run_checker

from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.tiles import bundles_of, encode_entries

KEY = SignerKey("log.example/interop", b"\1" * 32)
VERIFIER = KEY.verifier.to_text()


def write(log: Path, path: str, data: bytes) -> None:
    (log / path).parent.mkdir(parents=True, exist_ok=True)
    (log / path).write_bytes(data)


def write_log(log: Path, size: int) -> Tree:
    """A log of `size` entries as it is published: bundles, tiles, checkpoint."""
    entries = [b"entry %d" % number for number in range(size)]
    tree = Tree()
    tree.append_leaf_hashes(map(leaf_hash, entries))
    for address in bundles_of(size):
        start = address.index * 256
        write(log, address.path, encode_entries(entries[start : start + address.width]))
    for tile in tree.tiles(0):
        write(log, tile.path, tile.data)
    write(log, "checkpoint", sign_checkpoint(Checkpoint(KEY.name, size, tree.root()), KEY))
    return tree


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 1000, 70_000])
def test_a_log_that_we_wrote_is_accepted(tmp_path: Path, size: int) -> None:
    tree = write_log(tmp_path, size)
    got = run_checker(tmp_path, VERIFIER)
    assert (0, "") == (got.returncode, got.stderr)
    assert f"ok size={size} root={base64.b64encode(tree.root()).decode()}" == " ".join(got.stdout.split()[:3])


def test_a_log_that_grew_is_consistent_with_its_older_checkpoints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    kept = []
    for size in (1, 200, 256, 300):
        write_log(log, size)
        kept.append(tmp_path / f"checkpoint.{size}")
        kept[-1].write_bytes((log / "checkpoint").read_bytes())
    assert 0 == run_checker(log, VERIFIER, *kept).returncode
    (log / "checkpoint").write_bytes(kept[1].read_bytes())
    refused = run_checker(log, VERIFIER, kept[3])
    assert 1 == refused.returncode
    assert "rolled back" in refused.stderr


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("tile/entries/000", 10),
        ("tile/entries/001.p/44", -1),
        ("tile/0/000", 32 * 7),
        ("tile/0/001.p/44", -1),
        ("tile/1/000.p/1", 0),
        ("checkpoint", 3),
        ("checkpoint", -10),
    ],
)
def test_one_changed_bit_is_refused(tmp_path: Path, path: str, at: int) -> None:
    write_log(tmp_path, 300)
    assert 0 == run_checker(tmp_path, VERIFIER).returncode
    flip(tmp_path / path, at)
    got = run_checker(tmp_path, VERIFIER)
    assert (1, "") == (got.returncode, got.stdout)


def test_an_entry_too_many_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path, 3)
    bundle = tmp_path / "tile/entries/000.p/3"
    bundle.write_bytes(bundle.read_bytes() + b"\0\1x")
    got = run_checker(tmp_path, VERIFIER)
    assert 1 == got.returncode
    assert "too many" in got.stderr


def test_a_missing_tile_and_a_wrong_key_are_refused(tmp_path: Path) -> None:
    write_log(tmp_path, 300)
    other = SignerKey(KEY.name, b"\2" * 32)
    assert 1 == run_checker(tmp_path, other.verifier.to_text()).returncode
    (tmp_path / "tile/1/000.p/1").unlink()
    assert 1 == run_checker(tmp_path, VERIFIER).returncode


def test_a_signer_key_of_the_go_project_is_read_and_written() -> None:
    """The example key of the Go package's documentation."""
    text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    key = SignerKey.parse(text)
    assert text == key.to_text()
    assert "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" == key.verifier.to_text()
