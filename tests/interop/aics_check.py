"""Checks a tlog-tiles log, a folder or a URL, with aics-tlog. Runs in an environment of its own: see `aics_build`.

    aics_check.py LOGDIR|URL VKEY [OLDER-CHECKPOINT ...]

It verifies the checkpoint's signature, authenticates every tile and bundle against its root, proves inclusion of records
spread over the log, and consistency with each older checkpoint given. Prints `ok size=N …`, or fails with a traceback.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aics_tlog import (
    FileSystemTileReader,
    HttpTileReader,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
)

INCLUSION_MAX = 64


def main(location: str, key_text: str, older: list[str]) -> str:
    """The line to print. Raises where anything does not hold."""
    key = parse_vkey(key_text)
    if location.startswith("http://"):
        reader = HttpTileReader(location, proxies={})
        note = reader.read_checkpoint()
    else:
        reader = FileSystemTileReader(location)
        note = Path(location, "checkpoint").read_bytes()
    head = opened(note, key)
    report = audit_tiles(reader, head.size, head.root)
    verified = VerifiedTileReader(reader, head.size, head.root)
    indexes = range(0, head.size, max(1, head.size // INCLUSION_MAX))
    for index in indexes:
        proof = inclusion_proof_from_tiles(verified, index, head.size)
        if not verify_inclusion(verified.leaf_hash(index), index, head.size, proof, head.root):
            raise SystemExit(f"entry {index} is not included")
    for path in older:
        kept = opened(Path(path).read_bytes(), key)
        proof = consistency_proof_from_tiles(verified, kept.size, head.size)
        if not verify_consistency(kept.size, head.size, kept.root, head.root, proof):
            raise SystemExit(f"{path} is no beginning of this log")
    return (
        f"ok size={head.size} tiles={report.tiles} bundles={report.bundles}"
        f" inclusion={len(indexes)} consistency={len(older)}"
    )


def opened(note: bytes, key: object):
    """The checkpoint in `note`, signed by `key` under the origin that is its name."""
    parsed = parse_note(note)
    result = verify_checkpoint(parsed, key, expected_origin=key.name)  # type: ignore[attr-defined]
    if not result.log_ok:
        raise SystemExit(f"the checkpoint is not signed: {result.error}")
    return parse_checkpoint(parsed.text)


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
