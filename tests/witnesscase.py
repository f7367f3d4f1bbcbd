"""What tests of witnesses share: a log's key and tree, checkpoints of any size, requests, and a witness in a folder."""

from __future__ import annotations

from pathlib import Path

from ledgercase import HandClock

from affidavit.durable import OsDisk
from affidavit.server.witness import Witness
from affidavit.server.witness_folder import TYPES, WitnessFolder
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash, root_of
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.proofs import prove_consistency
from affidavit.tlog.witness import AddCheckpoint

ORIGIN = "log.example/a"
KEY = SignerKey(ORIGIN, b"\1" * 32)
LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]
OTHER_LEAVES = [*LEAVES[:2], leaf_hash(b"rewritten"), *LEAVES[3:]]
NAME = "witness.example/w1"


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(leaves[:size]))


def note(size: int, leaves: list[bytes] = LEAVES, key: SignerKey = KEY) -> bytes:
    return sign_checkpoint(checkpoint(size, leaves), key)


def proof(old: int, size: int, leaves: list[bytes] = LEAVES) -> tuple[bytes, ...]:
    return tuple(prove_consistency(old, size, lambda level, at: root_of(leaves[at << level : at + 1 << level])))


def request(old: int, size: int, leaves: list[bytes] = LEAVES, key: SignerKey = KEY) -> bytes:
    return AddCheckpoint(old, proof(old, size, leaves), note(size, leaves, key)).encode()


def make_folder(root: Path, *types: str) -> WitnessFolder:
    """A witness's folder that follows the log of `KEY`."""
    folder = WitnessFolder(OsDisk(), root)
    folder.create(NAME, [TYPES[one] for one in types or ("ed25519",)])
    folder.add(KEY.verifier.to_text())
    return folder


def open_witness(folder: WitnessFolder, clock: HandClock | None = None) -> Witness:
    return Witness(folder, folder.signers(), clock or HandClock())


def write_tiles(log: Path, leaves: list[bytes] = LEAVES) -> Path:
    tree = Tree()
    tree.append_leaf_hashes(leaves)
    for tile in tree.tiles(0):
        (log / tile.path).parent.mkdir(parents=True, exist_ok=True)
        (log / tile.path).write_bytes(tile.data)
    return log
