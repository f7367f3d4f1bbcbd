"""Defects that are planted in a copy of the code, one at a time, and the test that catches each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plant:
    """`old`, which stands once in `file` below src/affidavit, becomes `new`. `cost`: what the defect would cost."""

    name: str
    file: str
    old: str
    new: str
    cost: str
    catcher: str


PLANTS = (
    Plant(
        "a group commit is not synced",
        "ledger/journal.py",
        "        self._file.write_at(self._end, frame)\n        self._file.sync()\n",
        "        self._file.write_at(self._end, frame)\n",
        "acknowledged records are lost when the machine stops",
        "tests/simulation/test_ledger_simulation.py",
    ),
    Plant(
        "folders are not synced after a rename",
        "durable.py",
        "        disk.sync_folder(folder)\n\n\n",
        "        pass\n\n\n",
        "published files are gone when the machine stops, under a checkpoint that speaks of them",
        "tests/simulation/test_ledger_simulation.py",
    ),
    Plant(
        "the checksum of a frame is not compared",
        "record/frame.py",
        "    if zlib.crc32(data[start:end], zlib.crc32(_U32.pack(length))) != crc:\n",
        "    if False:\n",
        "a torn or altered frame is taken for what was written",
        "tests/unit/record/test_record_bytes.py",
    ),
    Plant(
        "a full tile is written over",
        "ledger/publisher.py",
        "            elif self._disk.read(path, limit) != data:\n",
        "            elif False:\n",
        "another history is published over one that was cut short, unnoticed",
        "tests/unit/ledger/test_recovery.py",
    ),
    Plant(
        "a used number is accepted",
        "ledger/sequencer.py",
        "        if batch.first < stream.next:\n",
        "        if False:\n",
        "a repeated batch stands twice in the log",
        "tests/unit/ledger/test_sequencer.py",
    ),
    Plant(
        "a decision under an older state is sealed",
        "ledger/rules.py",
        '        if decided != state and draft.kind in DECIDED_KINDS and draft.guarantee != "after":\n',
        "        if False:\n",
        "an access is allowed by a grant that was taken away",
        "tests/unit/ledger/test_sequencer.py",
    ),
    Plant(
        "leaves are hashed without their prefix",
        "tlog/hashing.py",
        '    return sha256(b"\\x00" + entry).digest()\n',
        "    return sha256(entry).digest()\n",
        "an interior node can be shown as an entry",
        "tests/unit/tlog/test_hashing.py",
    ),
    Plant(
        "an inclusion proof's root is not compared",
        "tlog/proofs.py",
        "    if computed != root:\n",
        "    if False:\n",
        "any entry is proved to be in any log",
        "tests/unit/tlog/test_proofs.py",
    ),
    Plant(
        "a consistency proof's roots are not compared",
        "tlog/proofs.py",
        "    if old != root1 or new != root2:\n",
        "    if False:\n",
        "a witness cosigns a second history",
        "tests/unit/tlog/test_proofs.py",
    ),
    Plant(
        "a known key's signature is not verified",
        "tlog/notes.py",
        "            checked = signer.verify(text, line)\n",
        "            checked = line\n",
        "anybody signs checkpoints",
        "tests/unit/tlog/test_notes.py",
    ),
    Plant(
        "a kept checkpoint that is ahead is not reported",
        "verify/checkpoints.py",
        "        if kept.size > self._published.size and kept.size not in roots:\n",
        "        if False:\n",
        "the newest day is cut off, and the verdict blames a rewrite that never was",
        "tests/unit/verify/test_verify_tampering.py",
    ),
    Plant(
        "a body's digest is not compared",
        "record/body.py",
        "    if body_digest(plain) != digest:\n",
        "    if False:\n",
        "a plain body is exchanged under its header",
        "tests/unit/record/test_record_bytes.py",
    ),
    Plant(
        "the root of the state is not compared",
        "verify/folding.py",
        "        if self.state.root != line.header.root:\n",
        "        if False:\n",
        "a change says one thing and its root another",
        "tests/unit/verify/test_verify_tampering.py",
    ),
)
