"""Logs on paper for tests of proofs of state: the records and the public files that the prover reads, in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logmaker import ALICE, DESK, ORIGIN, SIGNER, Paper, Rec, grant_value, with_fields

from affidavit import canonical
from affidavit.evidence.stateproof import Proved, prove
from affidavit.record.header import Header, encode_header
from affidavit.record.read import Record
from affidavit.state.change import Op, encode_ops
from affidavit.state.statement import NoGrant, NoMembership, ObjectWas, Position, Statement
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import sign_note
from affidavit.tlog.rotation import KeyChain

ANA, THEO = "u-" + "1" * 16, "u-" + "2" * 16
VISITS, LABS = ("public", "visits"), ("public", "labs")


@dataclass
class Files:
    """A source of a log's public files."""

    files: dict[str, bytes]
    name: str = "paper"

    def get(self, path: str, limit: int) -> bytes | None:
        data = self.files.get(path)
        assert data is None or len(data) <= limit
        return data

    def paths(self) -> Iterator[str] | None:
        return iter(sorted(self.files))


class PaperRecords:
    """A reader of records on paper."""

    def __init__(self, records: Sequence[Rec]) -> None:
        self._records = records
        self.raw = [encode_header(header) for header in map(sealed, records)]

    @property
    def size(self) -> int:
        return len(self._records)

    def header(self, index: int) -> Header:
        return sealed(self._records[index])

    def record(self, index: int) -> Record:
        return Record(index, self.raw[index], self.header(index), self._records[index].content)


def sealed(record: Rec) -> Header:
    """The header with the digest of its body."""
    assert record.plain is not None
    return with_fields(record.header, body=hashlib.sha256(record.plain).hexdigest())


def note_of(raw: Sequence[bytes], *signers: SignerKey, origin: str = ORIGIN) -> bytes:
    """The signed checkpoint over these entries."""
    tree = Tree()
    tree.append_leaf_hashes([leaf_hash(entry) for entry in raw])
    return sign_note(Checkpoint(origin, len(raw), tree.root()).format(), *(signers or (SIGNER,)), time_s=1_800_000_000)


def public(raw: Sequence[bytes], note: bytes | None = None) -> Files:
    """The public log over these entries, without its bundles, which no prover reads."""
    tree = Tree()
    tree.append_leaf_hashes([leaf_hash(entry) for entry in raw])
    files = {tile.path: tile.data for tile in tree.tiles(0)}
    return Files({**files, "checkpoint": note_of(raw) if note is None else note})


def changed(paper: Paper, *ops: Op) -> int:
    """A change that nobody decided: a proof of state says nothing of policy."""
    content = {"objects": encode_ops(ops), "reason": "test", "approvals": [], "authorization": None}
    fields = {"actor": ALICE, "action": "grant", "decision": "allow", "decided": paper.state.index}
    return paper.add("change", DESK, content, **fields)


def objects(paper: Paper, values: Mapping[str, dict[str, Any] | None]) -> int:
    """A change that puts these values, or deletes for None."""
    return changed(paper, *(paper.delete(n) if v is None else paper.put(n, v) for n, v in values.items()))


def human() -> dict[str, Any]:
    return {"kind": "human", "status": "active", "attributes": []}


def grant_on(system: str, table: tuple[str, str] = VISITS) -> dict[str, Any]:
    """A grant to read a table of a system."""
    return {**grant_value(table, "read"), "resource": {"type": "Table", "id": f"{system}/{'.'.join(table)}"}}


def story() -> Paper:
    """What the tests know by heart. Indexes of records:

     2  genesis
     3  the people ana and theo, the groups ward and house (ward in house), the systems clinic and labs
     4  (a clock)
     5  ana in ward
     6  a grant on labs to ward
     7  (a clock)
     8  a grant on clinic to house, which holds ana through ward
     9  that grant is deleted
    10  (a clock)
    11  a grant on clinic to ana
    12  the same again, with another salt
    13  it is deleted
    14  (a clock)
    """
    paper = Paper()
    paper.genesis()
    group = {"description": ""}
    system = {"kind": "postgresql", "description": "", "key_columns": []}
    people = {f"identity/{ANA}": human(), f"identity/{THEO}": human()}
    groups = {"group/ward": group, "group/house": group, "membership/group:ward/house": {}}
    objects(paper, {**people, **groups, "system/clinic": system, "system/labs": system})
    paper.clock("interval")
    objects(paper, {f"membership/{ANA}/ward": {}})
    objects(paper, {"grant/group:ward/tests": grant_on("labs", LABS)})
    paper.clock("interval")
    objects(paper, {"grant/group:house/visits": grant_on("clinic")})
    objects(paper, {"grant/group:house/visits": None})
    paper.clock("interval")
    objects(paper, {f"grant/{ANA}/visits": grant_on("clinic")})
    objects(paper, {f"grant/{ANA}/visits": grant_on("clinic")})
    objects(paper, {f"grant/{ANA}/visits": None})
    paper.clock("interval")
    return paper


def proved(paper: Paper, statement: Statement, note: bytes | None = None, **options: Any) -> Any:
    """What the prover makes of a statement about a log on paper."""
    records = PaperRecords(paper.records)
    return prove(statement, records, public(records.raw), KeyChain.unbroken([SIGNER.verifier]), note, **options)


def proof_of(paper: Paper, statement: Statement, **options: Any) -> bytes:
    """The file, which there must be one of."""
    made = proved(paper, statement, **options)
    assert isinstance(made, Proved), made
    return made.file


def was(name: str, first: int, last: int | None = None) -> ObjectWas:
    """A question about an object; the answer is found."""
    return ObjectWas(first=Position(first), last=Position(first if last is None else last), name=name, versions=())


def no_grant(principal: str, first: int, last: int, system: str | None = "clinic") -> NoGrant:
    return NoGrant(first=Position(first), last=Position(last), principal=principal, system=system)


def no_membership(principal: str, group: str, first: int, last: int) -> NoMembership:
    return NoMembership(first=Position(first), last=Position(last), principal=principal, group=group)


def opened(file: bytes) -> Any:
    """The file's JSON, to be changed."""
    return json.loads(file)


def closed(value: Any) -> bytes:
    """The file of changed JSON, canonical again."""
    return canonical.encode(value) + b"\n"
