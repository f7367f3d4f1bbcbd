"""That a record stands in the published log: the path from its bytes to the root of the newest published checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.archive.log import LogFiles
from affidavit.archive.source import Source
from affidavit.record.read import Record
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.proofs import TileHashes, prove_inclusion, verify_inclusion
from affidavit.tlog.rotation import KeyChain


@dataclass(frozen=True)
class Inclusion:
    """Of the checkpoint its `size` and `root`; of the record its `leaf` hash, and the `path` between them in hex, from
    the leaf's sibling on. `path` is None where the record is newer than the checkpoint."""

    size: int
    root: str
    leaf: str
    path: tuple[str, ...] | None


def inclusion(source: Source, keys: KeyChain, record: Record) -> Inclusion:
    """The verified proof of `record` under the checkpoint that `source` holds, signed by the log's `keys`.

    Raises `VerificationError` where the checkpoint is not signed by them, or the record does not lead to its root.
    """
    files = LogFiles(source)
    published = keys.open(files.checkpoint())[0]
    leaf = leaf_hash(record.raw)
    if record.index >= published.size:
        return Inclusion(published.size, published.root.hex(), leaf.hex(), None)
    path = prove_inclusion(record.index, published.size, TileHashes(files.tile, published.size))
    verify_inclusion(record.index, published.size, leaf, path, published.root)
    return Inclusion(published.size, published.root.hex(), leaf.hex(), tuple(one.hex() for one in path))
