"""Alterations of a log that witnesses cosign, by somebody who holds every key of the log; the auditor has a copy of the
policy, by which two of three witnesses must have cosigned."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from logmaker import ORIGIN, T0_NS, Rec, write_log

from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignatureLine, SignerKey
from affidavit.tlog.notes import join_note, parse_note
from tampering.kinds import Case, Found, Need, Tampering
from tampering.rotations import rotated
from tampering.thief import DENIED, later

WITNESSES = tuple(
    SignerKey(f"witness.example/{number}", bytes([90 + number]) * 32, COSIGNATURE_ED25519) for number in range(3)
)
#: A witness that the thief runs, and its key under the name of an honest one.
OWN = SignerKey("witness.example/own", b"\x66" * 32, COSIGNATURE_ED25519)
POSING = SignerKey(WITNESSES[0].name, b"\x66" * 32, COSIGNATURE_ED25519)
COSIGNED = "checkpoints/cosigned"
_POLICY_FILE = "witnesses.policy"
#: An hour after the last record, and a year before it.
_AT_S = T0_NS // 1_000_000_000 + 3_600
_YEAR_S = 365 * 86_400
_HASH = bytes(32)

_POLICY = frozenset({Need.POLICY})
_KEPT = frozenset({Need.KEPT})
_QUORUM = Found(19, "witness.quorum", _POLICY, "log/checkpoint")
_FORKED, _AHEAD = Found(5, "kept.forked", _KEPT), Found(5, "kept.ahead", _KEPT)
_SPOILED = Found(1, "note.signature", _POLICY, "log/checkpoint")
_FROM_ON = "no checkpoint over them has enough cosignatures yet"

Change = Callable[[Case], object]


def policy(*witnesses: SignerKey, needed: int = 2) -> bytes:
    """A policy by which `needed` of these witnesses must have cosigned."""
    lines = [f"witness w{at} {key.verifier.to_text()}\n" for at, key in enumerate(witnesses)]
    names = " ".join(f"w{at}" for at in range(len(witnesses)))
    return "".join([*lines, f"group g {needed} {names}\nquorum g\n"]).encode()


def cosigned(note: bytes, *signers: SignerKey, time_s: int = _AT_S) -> bytes:
    """The note with a line of each of these witnesses more."""
    text, lines = parse_note(note)
    return join_note(text, [*lines, *(signer.line(text, time_s) for signer in signers)])


def _publish(case: Case, note: bytes) -> None:
    (case.folder / "log/checkpoint").write_bytes(note)


def _published(case: Case) -> bytes:
    return (case.folder / "log/checkpoint").read_bytes()


def _keep_beside(case: Case, note: bytes) -> None:
    """What the log keeps as cosigned by enough."""
    (case.folder / COSIGNED).parent.mkdir(exist_ok=True)
    (case.folder / COSIGNED).write_bytes(note)


def _row(part: str, deed: str, change: Change, *found: Found, why: str = "", said: str = "") -> Tampering:
    def alter(case: Case) -> None:
        case.policy = policy(*WITNESSES)
        _publish(case, cosigned(case.kept[-1], *WITNESSES))
        _keep_beside(case, _published(case))
        (case.folder / _POLICY_FILE).write_bytes(case.policy)
        change(case)

    return Tampering(part, deed, alter, found, why, said=said)


def _then(*steps: Change) -> Change:
    def change(case: Case) -> None:
        for step in steps:
            step(case)

    return change


def _rewritten(accesses: int, *signers: SignerKey, beside: Callable[[Case], bytes] | None = None) -> Change:
    """Another day in the place of the newest, signed with the log's key and cosigned by `signers`; `beside` is what
    stands as cosigned beside it."""

    def change(case: Case) -> None:
        records: Sequence[Rec] = later(case.records, DENIED, accesses)
        case.write(records)
        _publish(case, cosigned(_published(case), *signers))
        if beside is not None:
            _keep_beside(case, beside(case))

    return change


def _newest(case: Case) -> bytes:
    return cosigned(case.kept[-1], *WITNESSES)


def _before(case: Case) -> bytes:
    """The last checkpoint before the day that is rewritten, as witnesses cosigned it."""
    return cosigned(case.kept[2], *WITNESSES)


def _older(case: Case) -> None:
    """The whole folder as it was before the newest day, cosignatures and all."""
    shutil.rmtree(case.folder)
    write_log(case.folder, case.records[:DENIED], (3, 10))
    _publish(case, _before(case))
    _keep_beside(case, _before(case))


def _lines(change: Callable[[list[SignatureLine]], list[SignatureLine]]) -> Change:
    """Change the cosignatures of the published checkpoint."""

    def alter(case: Case) -> None:
        text, lines = parse_note(_published(case))
        _publish(case, join_note(text, [lines[0], *change(lines[1:])]))

    return alter


def _over(checkpoint: Checkpoint) -> Change:
    """The first witness's line replaced by one that it made over another checkpoint."""
    return _lines(lambda lines: [WITNESSES[0].line(checkpoint.format(), _AT_S), *lines[1:]])


def _forged(case: Case) -> None:
    """The first witness's line with a signature of the thief's own making."""
    data = bytearray(_published(case))
    at = data.index(WITNESSES[0].name.encode()) + len(WITNESSES[0].name) + 40
    data[at] = ord("A") if data[at] != ord("A") else ord("B")
    _publish(case, bytes(data))


def _dated(time_s: int) -> Change:
    """The first witness's line says another time, and its signature stays."""

    def alter(lines: list[SignatureLine]) -> list[SignatureLine]:
        line = lines[0]
        signature = time_s.to_bytes(8, "big") + line.signature[8:]
        return [SignatureLine(line.name, line.key_id, signature, time_s), *lines[1:]]

    return _lines(alter)


def _signs(time_s: int) -> Change:
    """The first witness's key, stolen too, says another time."""

    def alter(case: Case) -> None:
        _publish(case, cosigned(cosigned(case.kept[-1], *WITNESSES[1:]), WITNESSES[0], time_s=time_s))
        (case.folder / COSIGNED).unlink()

    return alter


def _gone(case: Case) -> None:
    (case.folder / COSIGNED).unlink()


def _policy_beside(data: bytes) -> Change:
    return lambda case: (case.folder / _POLICY_FILE).write_bytes(data)


def _taken_from_there(case: Case) -> None:
    case.policy = (case.folder / _POLICY_FILE).read_bytes()


_NONE = b"quorum none\n"


def _histories() -> list[Tampering]:
    part, other = "cosigned log", "only who has cosigned, or kept, something newer knows better"
    return [
        _row(part, "a second history, without a cosignature", _rewritten(30), _QUORUM, _FORKED),
        _row(
            part, "a second history, what was cosigned of the first left beside it", _rewritten(30, beside=_newest),
            Found(19, "witness.forked", _POLICY, COSIGNED), _FORKED,
        ),
        _row(
            part, "a second history behind a checkpoint that was cosigned, which is left beside it", _rewritten(30, beside=_before), _FORKED,
            why=f"the log begins as witnesses cosigned it; the verdict says from which record on none has, and {other}",
            said=_FROM_ON,
        ),
        _row(part, "a second history, cosigned by one of three", _rewritten(30, WITNESSES[0]), _QUORUM, _FORKED),
        _row(
            part, "a second history, cosigned by two of three, whose keys were stolen too", _rewritten(30, *WITNESSES[:2]), _FORKED,
            why="two are as many as the policy asks for: it trusts that no two deceive",
        ),
        _row(part, "a second history, cosigned by a witness of the thief's own", _rewritten(30, OWN, POSING), _QUORUM, _FORKED),
        _row(part, "a second history, cosigned twice by one witness whose key was stolen too", _rewritten(30, WITNESSES[0], WITNESSES[0]), _QUORUM, _FORKED),
        _row(part, "the newest day deleted, and what is left signed again", _rewritten(0), _QUORUM, _AHEAD),
        _row(
            part, "the newest day deleted, what was cosigned of it left beside it", _rewritten(0, beside=_newest),
            Found(19, "witness.ahead", _POLICY, COSIGNED), _AHEAD,
        ),
        _row(
            part, "put back to an older state, with the cosignatures that it had then", _older, _AHEAD,
            why="it is what witnesses cosigned then. Each witness shows its newest checkpoint: that one, given with `--kept`, is ahead",
        ),
    ]  # fmt: skip


def _cosignatures() -> list[Tampering]:
    part = "cosignature"
    enough = "the policy asks for two, and two are there"
    stranger = Checkpoint("log.example/other", 7, _HASH)
    return [
        _row(part, "all stripped", _then(_lines(lambda _: []), _gone), _QUORUM),
        _row(part, "two of three stripped", _then(_lines(lambda lines: lines[:1]), _gone), _QUORUM),
        _row(part, "one of three stripped", _then(_lines(lambda lines: lines[1:]), _gone), why=enough),
        _row(
            part, "all stripped from the checkpoint, not from its copy beside the log", _lines(lambda _: []),
            why="the copy says the same of the same checkpoint",
        ),
        _row(part, "replaced by the same witness's over another root", _over(Checkpoint(ORIGIN, 42, _HASH)), _SPOILED),
        _row(part, "replaced by the same witness's over another log", _over(stranger), _SPOILED),
        _row(
            part, "replaced by the same witness's over an older checkpoint",
            lambda case: _over(Checkpoint.parse(parse_note(case.kept[2])[0]))(case), _SPOILED,
        ),
        _row(part, "forged", _forged, _SPOILED),
        _row(part, "two forged under a key of the thief's own, in a witness's name", _then(_lines(lambda lines: lines[:1]), lambda case: _publish(case, cosigned(_published(case), POSING)), _gone), _QUORUM),
        _row(part, "one written three times, the others stripped", _then(_lines(lambda lines: lines[:1] * 3), _gone), _QUORUM),
        _row(part, "two exchanged under each other's names", _lines(_exchanged), _SPOILED),
        _row(part, "its time changed", _dated(_AT_S - _YEAR_S), _SPOILED),
        _row(
            part, "its time a year too early, signed with that witness's stolen key", _signs(_AT_S - _YEAR_S),
            Found(21, "time.claim", frozenset({Need.POLICY, Need.BODY_KEYS})),
        ),
        _row(
            part, "its time a year too late, signed with that witness's stolen key", _signs(_AT_S + _YEAR_S),
            why="a later time proves less; what the other two say stands",
        ),
        _row(
            part, "one of a witness of the thief's own added", lambda case: _publish(case, cosigned(_published(case), OWN)),
            why="it counts for nobody whose policy does not name it, and takes nothing away",
        ),
        _row(part, "an own witness's, in the place of two, and the policy beside the log names it", _own_witness, _QUORUM),
    ]  # fmt: skip


def _exchanged(lines: list[SignatureLine]) -> list[SignatureLine]:
    """Each of the first two under the name and key id of the other."""
    a, b = lines[:2]
    return [
        SignatureLine(a.name, a.key_id, b.signature, b.time_s),
        SignatureLine(b.name, b.key_id, a.signature, a.time_s),
        *lines[2:],
    ]


def _own_witness(case: Case) -> None:
    _lines(lambda lines: lines[:1])(case)
    _publish(case, cosigned(_published(case), OWN))
    _gone(case)
    _policy_beside(policy(*WITNESSES, OWN))(case)


def _policies() -> list[Tampering]:
    part = "policy file beside the log"
    trusts = "who takes the policy from the thief asks for what the thief has: the auditor's copy must be older than the deed"
    return [
        _row(
            part, "made to ask for no witness", _policy_beside(_NONE),
            why="no verdict reads it: the auditor gives a copy of their own",
        ),
        _row(part, "made to ask for no witness, and a second history", _then(_rewritten(30), _policy_beside(_NONE)), _QUORUM, _FORKED),
        _row(
            part, "the same, and the auditor takes it from there", _then(_rewritten(30), _policy_beside(_NONE), _taken_from_there), _FORKED,
            why=trusts,
        ),
        _row(
            part, "made to name a witness of the thief's own, which cosigned a second history; the auditor takes it from there",
            _then(_rewritten(30, OWN), _policy_beside(policy(OWN, needed=1)), _taken_from_there), _FORKED,
            why=trusts,
        ),
    ]  # fmt: skip


def _kept_cosigned() -> list[Tampering]:
    part = f"`{COSIGNED}`"
    spare = "the checkpoint itself bears what the policy asks for"

    def edit(change: Callable[[bytes], bytes]) -> Change:
        return lambda case: _keep_beside(case, change(_newest(case)))

    def bad(deed: str, code: str, change: Callable[[bytes], bytes]) -> Tampering:
        return _row(part, deed, edit(change), Found(19, code, _POLICY, COSIGNED))

    other = sign_checkpoint(Checkpoint("log.example/other", 7, _HASH), SignerKey("log.example/other", bytes(32)))
    return [
        bad("changed", "note.signature", lambda note: note.replace(b"\n42\n", b"\n41\n")),
        bad("cut", "note.malformed", lambda note: note[:-30]),
        bad("extended", "note.malformed", lambda note: note + b"more\n"),
        bad("swapped with another log's", "checkpoint.origin", lambda _: cosigned(other, *WITNESSES)),
        _row(part, "put back to an older one", lambda case: _keep_beside(case, _before(case)), why=spare),
        _row(part, "removed", _gone, why=spare),
    ]


def _rotations() -> list[Tampering]:
    part = "key of a cosigned log"

    def row(deed: str, beside: bool, *found: Found, why: str = "", said: str = "") -> Tampering:
        def alter(case: Case) -> None:
            world = rotated()
            shutil.rmtree(case.folder)
            shutil.copytree(world.root, case.folder)
            case.kept, case.key, case.body_keys = world.kept[:1], world.old.verifier, world.old.body_keys_by_id
            case.policy = f"log {world.old.verifier.to_text()}\n".encode() + policy(*WITNESSES)
            if beside:
                _keep_beside(case, cosigned(world.kept[0], *WITNESSES))

        return Tampering(part, deed, alter, found, why, said=said)

    return [
        row("rotated to one that the thief holds, and the log gone on with it", False, _QUORUM),
        row(
            "the same, what was cosigned before left beside it", True,
            why="a rotation is a record under the name of who made it, and no witness follows the new key before its "
            "operator was told; the verdict says from which record on nobody has cosigned",
            said=_FROM_ON,
        ),
    ]  # fmt: skip


WITNESSED_ROWS = [*_histories(), *_cosignatures(), *_policies(), *_kept_cosigned(), *_rotations()]
