"""Run by the interpreter of `aics_build`: the client of aics-witness asks a witness to cosign each note of a folder.

Arguments: URL, witness key, leaves file (hex, one a line), notes in order. Prints `SIZE ok` or `SIZE ERROR` for each.
"""

import sys
from pathlib import Path

from aics_tlog import tree
from aics_witness.feeder import FeederError, WitnessClient, merge_cosignatures

url, key, leaves_file, *notes = sys.argv[1:]
leaves = [bytes.fromhex(line) for line in Path(leaves_file).read_text().split()]


def subtree(start: int, end: int) -> bytes:
    if end - start == 1:
        return leaves[start]
    middle = start + (1 << (end - start - 1).bit_length() - 1)
    return tree.node_hash(subtree(start, middle), subtree(middle, end))


def proof(old: int, new: int) -> list[bytes]:
    """RFC 6962 section 2.1.2, as it stands there."""

    def walk(m: int, start: int, end: int, whole: bool) -> list[bytes]:
        if m == end - start:
            return [] if whole else [subtree(start, end)]
        k = 1 << (end - start - 1).bit_length() - 1
        if m <= k:
            return [*walk(m, start, start + k, whole), subtree(start + k, end)]
        return [*walk(m - k, start + k, end, False), subtree(start, start + k)]

    return walk(old, 0, new, True) if 0 < old < new else []


with WitnessClient(url, key) as client:
    for name in notes:
        note = Path(name).read_bytes()
        size = note.split(b"\n")[1].decode()
        try:
            Path(f"{name}.cosigned").write_bytes(merge_cosignatures(note, client.submit(note, proof)))
            print(size, "ok", flush=True)
        except FeederError as error:
            print(size, type(error).__name__, flush=True)
