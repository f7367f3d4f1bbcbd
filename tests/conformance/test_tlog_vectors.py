"""Vectors published by other implementations: proofs, notes, and a whole log re-derived from its entries."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from affidavit.archive.folder import Folder
from affidavit.archive.log import LogFiles
from affidavit.errors import VerificationError
from affidavit.tlog.checkpoint import open_checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT, Tree, leaf_hash, root_of
from affidavit.tlog.keys import COSIGNATURE_ED25519, ED25519, ML_DSA_44, VerifierKey
from affidavit.tlog.notes import open_note, parse_note
from affidavit.tlog.proofs import TileHashes, prove_consistency, verify_consistency, verify_inclusion
from affidavit.tlog.tiles import encode_entries, entries_path

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the published vectors are not here: they are read from ../shared/vectors"
)


def cases(kind: str) -> list[Path]:
    return sorted((VECTORS / "merkle" / "testdata" / kind).rglob("*.json"))


def named(path: Path) -> str:
    return str(path.relative_to(VECTORS))


def unpacked(value: str | None) -> bytes:
    return base64.b64decode(value or "")


def stood_in(root: bytes) -> bytes:
    """Some cases give the words "don't care" for a root: lengthened to 32 bytes, so that the sizes are what is judged."""
    return root.ljust(32, b"\0") if root.startswith(b"don't care") else root


def test_all_the_published_cases_are_here() -> None:
    assert [98, 98] == [len(cases("inclusion")), len(cases("consistency"))]


@pytest.mark.parametrize("path", cases("inclusion"), ids=named)
def test_inclusion(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_bytes())
    proof = [unpacked(item) for item in case["proof"] or ()]
    holds = True
    try:
        verify_inclusion(case["leafIdx"], case["treeSize"], unpacked(case["leafHash"]), proof, unpacked(case["root"]))
    except VerificationError:
        holds = False
    assert case["wantErr"] is not holds


@pytest.mark.parametrize("path", cases("consistency"), ids=named)
def test_consistency(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_bytes())
    proof = [unpacked(item) for item in case["proof"] or ()]
    root1, root2 = (stood_in(unpacked(case[name])) for name in ("root1", "root2"))
    holds = True
    try:
        verify_consistency(case["size1"], case["size2"], root1, root2, proof)
    except VerificationError:
        holds = False
    assert case["wantErr"] is not holds


def test_the_reference_trees_of_rfc_6962() -> None:
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    expected = ["6e340b9c", "fac54203", "aeb6bcfe", "d37ee418", "4e3bbb1f", "76e67dad", "ddb89be4", "5dc9da79"]
    assert expected == [root_of(hashes[:size]).hex()[:8] for size in range(1, 9)]


def notes() -> list[dict[str, Any]]:
    found = VECTORS / "notes.json"
    return json.loads(found.read_bytes()) if found.is_file() else []


@pytest.mark.parametrize("case", notes(), ids=lambda case: str(case["source"]))
def test_notes(case: dict[str, Any]) -> None:
    data = case["note"].encode()
    text, lines = parse_note(data)
    assert data == (text + "\n" + "".join(line.to_text() for line in lines)).encode()
    keys = [VerifierKey.parse(text) for text in case["vkeys"]]
    assert case["vkeys"] == [key.to_text() for key in keys]
    note = open_note(data, keys)
    assert [key.name for key in keys] == [line.name for line in note.verified]
    assert len(lines) == len(note.verified) + len(note.unverified)
    assert ("0x04" in case["kind"]) is (note.verified[0].time_s is not None)
    with pytest.raises(VerificationError):
        open_note(b"x" + data, keys)


def test_every_type_of_key_has_a_published_note() -> None:
    types = {VerifierKey.parse(text).type for case in notes() for text in case["vkeys"]}
    assert {ED25519, COSIGNATURE_ED25519, ML_DSA_44} == types


LOG_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def test_the_log_of_another_implementation_is_derived_again_from_its_entries() -> None:
    folder = VECTORS / "tessera" / "testdata" / "log"
    log = LogFiles(Folder(folder))
    key = VerifierKey.parse(LOG_KEY)
    entries = log.entries(0, 15)
    tree, roots = Tree(), [EMPTY_ROOT]
    for size in range(16):
        if size:
            tree.append_leaf_hashes([leaf_hash(entries[size - 1])])
            roots.append(tree.root())
            assert (folder / entries_path(0, size)).read_bytes() == encode_entries(entries[:size])
            for tile in tree.tiles(size - 1):
                assert (folder / tile.path).read_bytes() == tile.data
        checkpoint = open_checkpoint((folder / f"checkpoint.{size}").read_bytes(), key, "example.com/log/testdata")
        assert (size, tree.root()) == (checkpoint.size, checkpoint.root)
    stored = TileHashes(log.tile, 15)
    for older in range(1, 16):
        verify_consistency(older, 15, roots[older], roots[15], prove_consistency(older, 15, stored))
    assert tree.root() == open_checkpoint(log.checkpoint(), key, "example.com/log/testdata").root
