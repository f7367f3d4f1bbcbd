"""Judges a proof of state, with the log's public key alone. In order, and the first thing that does not hold ends it:

 1. the file is a proof of state in its one spelling, and its statement one that can be made;
 2. its checkpoint is signed by a given key, or by keys that follow from one, in force at its size;
 3. its records stand in the log of that checkpoint, at their indexes;
 4. they are strict headers, in order, and exactly those that the statement needs: the one before its last position, the
    chain of changes back from there to the state that held at its first, and those that a moment lies between;
 5. the items open each of these states' maps, from the root in the record, as far as the statement asks and no further;
 6. what they show is what the statement says;
 7. each checkpoint kept elsewhere of the same size is the same, and as many witnesses cosigned as a policy asks.

Absent on purpose: whether a root follows from the changes, and whether `log.state` names the true last change, which
take the whole log (`verify`, duties 8 and 14). The verdict says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from affidavit import canonical
from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import VERIFY_KEPT_MAX
from affidavit.record.header import Header, decode_header
from affidavit.state.chain import states_between
from affidavit.state.mapproof import ProvenMap
from affidavit.state.prooffile import StateProof
from affidavit.state.statement import (
    Examined,
    Position,
    Statement,
    examine,
    form_shown,
    versions_of,
)
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.notes import parse_note
from affidavit.tlog.policy import Policy
from affidavit.tlog.proofs import verify_several
from affidavit.tlog.rotation import Rotation, build_chain
from affidavit.verify.keys import Keys, Signed, origin_of
from affidavit.verify.proofwords import not_shown, shown
from affidavit.verify.verdict import Cosignature, Kept, Signature


@dataclass(frozen=True, slots=True)
class StateProofVerdict:
    """What a proof of state shows, and what it does not. `statement` is as in the file.

    `states` counts the states that held in the interval. `recorded_to` is the log's own time of the record before its
    last position. `elsewhere` names grants on other systems that the proof reveals. `not_checked` is what was asked and
    could not be done.
    """

    statement: dict[str, Any]
    origin: str
    size: int
    root: str
    signed_by: tuple[Signature, ...]
    states: int
    recorded_to: str
    shown: str
    not_shown: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    cosigned: tuple[Cosignature, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0: it holds. 3: it holds, and something that was asked could not be checked."""
        return 3 if self.not_checked else 0

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {"holds": True, "exit_status": self.exit_status, **asdict(self)}


def check_state_proof(
    data: bytes, keys: Sequence[VerifierKey], kept: Sequence[bytes] = (), policy: Policy | None = None
) -> StateProofVerdict:
    """The verdict on the proof in a file, trusting `keys` and those of the policy's witnesses alone.

    `kept` are checkpoint notes kept elsewhere. Raises `VerificationError` where it does not hold; `InvalidInput`
    without a key, for a proof of a newer format, for a policy of other logs.
    """
    if not keys:
        raise InvalidInput("verify.key", "No verifier key was given.", "Give the log's public key with --key.")
    if len(kept) > VERIFY_KEPT_MAX:
        raise InvalidInput("verify.kept", f"More than {VERIFY_KEPT_MAX} kept checkpoints were given.", "Give fewer.")
    proof = StateProof.decode(data)
    witnesses = () if policy is None else tuple(one.key for one in policy.witnesses)
    own = _keys(proof, [*keys, *(key for key in witnesses if key not in keys)])
    signed = own.open(proof.checkpoint)
    checkpoint = signed.checkpoint
    leaves = [(index, leaf_hash(entry)) for index, entry in proof.records]
    verify_several(leaves, checkpoint.size, proof.hashes, checkpoint.root)
    statement = proof.statement
    headers = _Headers(proof)
    states = states_between(headers.take, statement.first.index, statement.last.index)
    for position in (statement.first, statement.last):
        _check_moment(position, headers)
    headers.finish()
    maps = ProvenMap(proof.items)
    found = examine(
        statement, ((held, maps.at(held.root)) for held in states), lambda since: form_shown(statement, since)
    )
    maps.finish()
    _check_found(statement, found)
    compared, left_out = _compare(kept, own, checkpoint)
    cosigned = _cosigned(policy, own, signed)
    compared_elsewhere = bool(cosigned) or any(one.result == "consistent" for one in compared)
    newest = headers.at(statement.last.index - 1)
    return StateProofVerdict(
        statement=canonical.decode(canonical.encode_trusted(statement)),
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        signed_by=signed.signatures,
        states=len(states),
        recorded_to=newest.log.at,
        shown=shown(statement, newest.log.at, checkpoint.size),
        not_shown=not_shown(statement, found, compared_elsewhere=compared_elsewhere),
        elsewhere=tuple(name for name, _ in found.elsewhere),
        kept=compared,
        cosigned=cosigned,
        not_checked=left_out,
    )


class _Headers:
    """The records of a proof as headers, each of which must be asked for."""

    def __init__(self, proof: StateProof) -> None:
        self._headers = {index: _header(index, entry) for index, entry in proof.records}
        self._asked: set[int] = set()
        self._check_order()

    def take(self, index: int) -> Header:
        """The header at an index, which the statement needs. Raises `VerificationError` where it is not there."""
        self._asked.add(index)
        return self.at(index)

    def at(self, index: int) -> Header:
        """The header at an index."""
        found = self._headers.get(index)
        if found is None:
            raise VerificationError("stateproof.records", f"The proof lacks record {index}, which it needs.")
        return found

    def finish(self) -> None:
        """Raise `VerificationError` where a record was not asked for."""
        over = set(self._headers) - self._asked
        if over:
            raise VerificationError("stateproof.records", f"The proof holds record {min(over)}, and needs it not.")

    def _check_order(self) -> None:
        """The times never decrease, and each record names a state between that of the one before it and itself."""
        at, state = "", 0
        for index, header in self._headers.items():
            if header.log.at < at or not state <= header.log.state <= index:
                raise VerificationError("stateproof.order", f"Record {index} contradicts the one before it here.")
            at, state = header.log.at, header.log.state if header.root is None else index + 1


def _header(index: int, entry: bytes) -> Header:
    try:
        return decode_header(entry)
    except InvalidInput as error:
        raise VerificationError("stateproof.header", f"Record {index} of the proof is no header: {error}") from None


def _keys(proof: StateProof, pinned: Sequence[VerifierKey]) -> Keys:
    """The log's keys, from the given ones on."""
    origin = origin_of(proof.checkpoint, pinned)
    notes: dict[int, bytes] = {}
    for note in proof.rotations:
        size = Rotation.parse(parse_note(note)[0]).last.size
        if size <= max(notes, default=0):
            raise VerificationError("rotation.sizes", "The rotations of the log's key are not in ascending order.")
        notes[size] = note
    chain, broken = build_chain(origin, pinned, list(notes.items()))
    if broken:
        raise broken[0].error
    return Keys(chain, tuple(pinned), notes, broken)


def _check_moment(position: Position, headers: _Headers) -> None:
    """The moment of a position lies between the records around it, by the log's clock."""
    if position.time is None:
        return
    before = headers.take(position.index - 1).log.at if position.index else ""
    after = headers.take(position.index).log.at
    if not before <= position.time < after:
        raise VerificationError(
            "stateproof.time", f"{position.time} is not the moment of position {position.index}, by the log's clock."
        )


def _check_found(statement: Statement, found: Examined) -> None:
    against = found.contradiction
    if against is not None:
        raise VerificationError(
            "stateproof.untrue",
            f"It is not true: there was `{against.name}` from position {against.since} on.",
        )
    # As bytes: true and 1 are equal in Python, and not in JSON.
    if canonical.encode_trusted(found.versions) != canonical.encode_trusted(versions_of(statement)):
        raise VerificationError("stateproof.untrue", "The statement is not what the proof shows of the object.")


def _compare(kept: Sequence[bytes], own: Keys, ours: Checkpoint) -> tuple[tuple[Kept, ...], tuple[str, ...]]:
    compared, left_out = [], []
    for number, note in enumerate(kept, 1):
        named = Checkpoint.parse(parse_note(note)[0])
        if named.origin == ours.origin and own.unjudged(named.size):
            left_out.append(f"kept checkpoint {number} was signed before the oldest key that was given")
            compared.append(Kept(None, None, "not judged"))
            continue
        one = own.open(note).checkpoint
        result = "not compared"
        if one.size == ours.size:
            result = "consistent"
            if one.root != ours.root:
                raise VerificationError(
                    "kept.forked",
                    f"Kept checkpoint {number} names another history of {one.size} records: the log shows two, and "
                    "this proof is of one of them.",
                    "Keep both files: each bears the log's signature.",
                )
        else:
            left_out.append(
                f"kept checkpoint {number} is of {one.size} records, the proof's of {ours.size}: ask for a proof under "
                "the kept one (`state prove --checkpoint`), or verify the log with it"
            )
        compared.append(Kept(one.size, one.root.hex(), result))
    return tuple(compared), tuple(left_out)


def _cosigned(policy: Policy | None, own: Keys, signed: Signed) -> tuple[Cosignature, ...]:
    if policy is None:
        return ()
    if policy.logs and not set(policy.log_keys(signed.checkpoint.origin)) & set(own.chain.keys):
        raise InvalidInput(
            "verify.policy",
            f"The policy names other logs, and not {signed.checkpoint.origin} under a key of its.",
            "Is it the right file?",
        )
    quorum = policy.judge(signed.lines)
    if not quorum.met:
        raise VerificationError("witness.quorum", f"Too few have cosigned: {quorum.why}")
    times = {(line.name, line.key_id): line.time_s for line in signed.lines}
    return tuple(
        Cosignature(one.name, one.key.name, times.get((one.key.name, one.key.key_id)))
        for one in policy.witnesses
        if one.name in quorum.cosigned
    )
