"""Makes proofs of state from a log: the file, or what contradicts the statement.

Each proof is checked by the verifier before it is handed out, so what the files of this log say wrongly is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affidavit.archive.log import LogFiles
from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.history.asof import Records, apply_record, state_at
from affidavit.limits import STATE_PROOF_CHANGES_MAX
from affidavit.record.header import Header
from affidavit.state.chain import Held, states_between
from affidavit.state.fold import State
from affidavit.state.mapproof import Form, MapProver, MapView
from affidavit.state.prooffile import StateProof
from affidavit.state.statement import Contradiction, ObjectWas, Position, Statement, check_statement, examine
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.proofs import TileHashes, prove_several
from affidavit.tlog.rotation import KeyChain
from affidavit.verify.keys import read_keys
from affidavit.verify.stateproof import StateProofVerdict, check_state_proof


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof's file, and what the verifier says of it."""

    file: bytes
    verdict: StateProofVerdict


def prove(
    statement: Statement,
    records: Records,
    log: Source,
    keys: KeyChain,
    note: bytes | None = None,
    *,
    withheld: bool = False,
    newest: State | None = None,
) -> Proved | Contradiction:
    """A proof of `statement` under the published checkpoint, or an earlier one of the same log (`note`).

    Of an `ObjectWas` the versions are found, whatever stands in it; `withheld` leaves its values out. `newest` is a
    state that need not be folded, if it is the first that the statement speaks of. Raises `InvalidInput` for positions
    beyond the checkpoint, a note of another history, too long an interval; `Corruption` where the log's files do not
    bear out what they say.
    """
    check_statement(statement)
    files = LogFiles(log)
    latest = files.checkpoint()
    given = latest if note is None else note
    checkpoint, published = _opened(given, keys), _opened(latest, keys)
    if checkpoint.size > published.size:
        raise InvalidInput(
            "stateproof.ahead",
            f"The given checkpoint covers {checkpoint.size} records, and this log shows {published.size}.",
            "Look at another copy: this one is older, or records were cut off.",
        )
    if statement.last.index > checkpoint.size:
        raise InvalidInput(
            "stateproof.beyond",
            f"The checkpoint covers {checkpoint.size} records; position {statement.last.index} lies beyond it.",
            "Ask for an earlier position, or again once the log has published more, which takes a second.",
        )
    needed: dict[int, Header] = {}

    def take(index: int) -> Header:
        if len(needed) > STATE_PROOF_CHANGES_MAX:
            raise InvalidInput(
                "stateproof.changes",
                f"More than {STATE_PROOF_CHANGES_MAX:,} changes stand between the two positions.",
                "Prove the interval in parts: each begins where the one before it ends.",
            )
        return needed.setdefault(index, records.header(index))

    states = states_between(take, statement.first.index, statement.last.index)
    prover = MapProver()
    form = Form.NAME if withheld else Form.VALUE
    found = examine(statement, _maps(states, records, prover, newest), lambda _: form)
    if found.contradiction is not None:
        return found.contradiction
    if isinstance(statement, ObjectWas):
        statement = ObjectWas(first=statement.first, last=statement.last, name=statement.name, versions=found.versions)
    indexes = sorted(needed.keys() | _around(statement.first) | _around(statement.last))
    hashes = prove_several(indexes, checkpoint.size, TileHashes(files.tile, published.size))
    rotations = read_keys(log, checkpoint.origin, keys.keys).rotations
    proof = StateProof(
        statement=statement,
        checkpoint=given,
        records=tuple((index, records.record(index).raw) for index in indexes),
        hashes=tuple(hashes),
        items=tuple(prover.items),
        rotations=tuple(data for _, data in sorted(rotations.items())),
    )
    return _checked(proof.encode(), keys, checkpoint.size, under_given=note is not None)


def position_at(index: int, time: str, size: int) -> Position:
    """The position of a moment, as far as the `size` records prove it that a checkpoint covers: a moment after the last
    of them is proved by no record, so the position stands there without it. `index` is that of the first later record.
    """
    if index >= size:
        return Position(size)
    return Position(index, time)


def _maps(
    states: Sequence[Held], records: Records, prover: MapProver, newest: State | None
) -> Iterator[tuple[Held, MapView]]:
    """The map of each state, folded from the oldest on."""
    state: State | None = None
    if newest is not None and newest.root == states[0].root.hex():
        state = newest.copy()
    for held in states:
        if state is None:
            state = State() if held.by is None else state_at(records, held.by + 1)
        elif held is not states[0] and held.by is not None:
            apply_record(state, records.record(held.by))
        if state.root != held.root.hex():
            raise Corruption("state.root", f"The state after record {held.by} has not the root that is recorded.")
        yield held, prover.at(state)


def _around(position: Position) -> set[int]:
    """The records that a moment lies between."""
    return set() if position.time is None else {index for index in (position.index - 1, position.index) if index >= 0}


def _opened(note: bytes, keys: KeyChain) -> Checkpoint:
    try:
        return keys.open(note)[0]
    except VerificationError as error:
        raise InvalidInput(
            "stateproof.checkpoint", f"This is no checkpoint of this log: {error.message}", "Give a signed one, whole."
        ) from None


def _checked(file: bytes, keys: KeyChain, size: int, *, under_given: bool) -> Proved:
    try:
        return Proved(file, check_state_proof(file, keys.keys_at(size)))
    except VerificationError as error:
        if under_given and error.code == "proof.several":
            raise InvalidInput(
                "stateproof.fork",
                "The given checkpoint is signed by this log's key, and names another history than this log holds.",
                "Keep it: it is evidence of a fork.",
            ) from None
        raise Corruption(
            "stateproof.broken", f"This log does not bear out the proof: {error.message}", "Run `affidavit verify`."
        ) from None
