"""Rotation of the log's key: one key in force at each size, after every crash and every failure of the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from ledgercase import BOOT, ORIGIN, AwaySigner, Case, code
from simdisk import Crash, SimDisk

from affidavit.errors import AffidavitError, Corruption, Unavailable
from affidavit.ledger.keys import LOG_KEY, LOG_VKEY, NEXT_KEY, Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.rotate import FORMER_VKEY, FileSuccessor, own_chain
from affidavit.ledger.signer import FileSigner, Purpose
from affidavit.record.draft import Batch
from affidavit.record.moment import format_moment
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import ED25519, ML_DSA_44, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.rotation import Rotation, rotation_path

ROOT = Path("/data")
LAYOUT = Layout(ROOT)
BOTH = (ED25519, ML_DSA_44)


def made(seed: int = 0) -> Case:
    case = Case(SimDisk(seed), ROOT, seed)
    case.create()
    return case


def successor(case: Case, *types: int) -> FileSuccessor:
    return FileSuccessor.make(case.disk, LAYOUT, ORIGIN, types or (ED25519,), case.random.randbytes)


def rotate(case: Case, ledger: Ledger, *types: int) -> int:
    return ledger.rotate(successor(case, *types), "time to", {}, {})


def reopened(case: Case) -> Ledger:
    """As a new process does it: secrets from the disk."""
    case.secrets = Secrets.load(case.disk, LAYOUT.secrets)
    return case.recover()


def append(case: Case, ledger: Ledger) -> None:
    assert "" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),))))


def signed_by(case: Case) -> list[bytes]:
    """The ids of the keys in the published checkpoint's note."""
    note = case.disk.read(LAYOUT.checkpoint, 100_000) or b""
    every = [VerifierKey.parse(line) for line in former(case)] + list(Secrets.load(case.disk, LAYOUT.secrets).verifiers)
    return [line.key_id for line in open_note(note, list(dict.fromkeys(every))).verified]


def former(case: Case) -> list[str]:
    return (case.disk.read(LAYOUT.secrets / FORMER_VKEY, 100_000) or b"").decode().split()


def test_the_new_key_signs_what_comes_after_and_nothing_else() -> None:
    case = made()
    ledger = case.recover()
    append(case, ledger)
    old = ledger.verifiers
    index = rotate(case, ledger, *BOTH)
    assert index == ledger.published.size == ledger.size - 1
    assert [old[0].key_id] == signed_by(case), "the last checkpoint under the old key stands until there is a new one"
    note = case.disk.read(LAYOUT.log / rotation_path(index), 100_000) or b""
    rotation = Rotation.parse(open_note(note, [*old, *ledger.verifiers]).text)
    assert (ledger.published, ledger.verifiers) == (rotation.last, rotation.keys)
    assert 3 == len(open_note(note, [*old, *ledger.verifiers]).verified)
    record = ledger.reader().record(index)
    assert ("log.key", note.decode(), "time to") == (
        record.header.kind,
        record.content["note"],
        record.content["reason"],
    )
    ledger.publish_now()
    assert [key.key_id for key in ledger.verifiers] == signed_by(case)
    assert 2 == len(signed_by(case))
    ledger.close("")
    again = reopened(case)
    assert rotation.keys == again.verifiers
    assert [old[0].to_text()] == former(case)
    opened = again.reader().record(again.size - 2)
    assert ("log.open", rotation.keys[1].to_text()) == (opened.header.kind, opened.content["post_quantum"])


def test_the_old_private_key_is_gone() -> None:
    case = made()
    ledger = case.recover()
    assert case.secrets is not None
    secret = case.secrets.signers[0].to_text().encode()
    rotate(case, ledger)
    assert [] == [path for path in case.disk.paths(ROOT) if secret in case.disk.copy(path)]
    names = case.disk.names(LAYOUT.secrets)
    assert NEXT_KEY not in names and {LOG_KEY, LOG_VKEY, FORMER_VKEY} <= set(names)


def test_the_last_checkpoint_of_each_key_is_kept() -> None:
    case = made()
    ledger = case.recover()
    sizes = []
    for _ in range(3):
        append(case, ledger)
        sizes.append(rotate(case, ledger))
    kept = case.disk.names(LAYOUT.kept)
    assert {f"{size:020d}" for size in sizes} <= set(kept)
    chain = own_chain(case.disk, LAYOUT, ledger.verifiers)
    for name in kept:
        assert int(name) == chain.open(case.disk.copy(LAYOUT.kept / name))[0].size


def test_rotations_follow_each_other_and_a_restart() -> None:
    case = made()
    ledger = case.recover()
    keys = [ledger.verifiers]
    for types in (BOTH, (ED25519,), BOTH):
        rotate(case, ledger, *types)
        keys.append(ledger.verifiers)
        ledger.close("")
        ledger = reopened(case)
        append(case, ledger)
    assert keys == [epoch.keys for epoch in own_chain(case.disk, LAYOUT, ledger.verifiers).epochs]


def crashing(at: int, seed: int) -> tuple[Case, int, int]:
    """A rotation that the machine stops at the step `at` of it: the case, the size before, and the steps it took."""
    case = made(seed)
    ledger = case.recover()
    append(case, ledger)
    ledger.publish_now()
    before, size = case.disk.steps, ledger.size
    case.disk.crash_at = before + at if at else 0
    new = successor(case, *BOTH)
    try:
        ledger.rotate(new, "time to", {}, {})
    except Crash:
        case.disk.crash()
    return case, size, case.disk.steps - before


def keys_of_records(ledger: Ledger) -> list[int]:
    return [record.index for record in ledger.reader().records(0, ledger.size) if record.header.kind == "log.key"]


def check_whole(case: Case, size: int) -> str:
    """After a crash: the next start goes on under one key, and what it did before that stands. Which of the two."""
    ledger = reopened(case)
    rotations = keys_of_records(ledger)
    assert rotations in ([], [size])
    public = [name for name in case.disk.names(LAYOUT.log / "key") if name.isdigit()]
    assert [f"{index:020d}" for index in rotations] == public, "the note is public if and only if the record is there"
    assert NEXT_KEY not in case.disk.names(LAYOUT.secrets)
    assert ledger.verifiers == Secrets.load(case.disk, LAYOUT.secrets).verifiers
    assert (2 if rotations else 1) == len(ledger.verifiers)
    chain = own_chain(case.disk, LAYOUT, ledger.verifiers)
    assert ledger.verifiers == chain.epochs[-1].keys
    append(case, ledger)
    ledger.publish_now()
    assert [key.key_id for key in ledger.verifiers] == signed_by(case)
    second = rotate(case, ledger)
    assert [*rotations, second] == keys_of_records(ledger)
    ledger.close("")
    ledger = reopened(case)
    ledger.close("")
    return "forward" if rotations else "back"


def test_a_crash_at_each_step_of_a_rotation_goes_on_or_rolls_back() -> None:
    _, _, steps = crashing(0, 0)
    assert steps > 30
    ways: dict[str, int] = {}
    for at in range(1, steps + 1):
        case, size, _ = crashing(at, at)
        way = check_whole(case, size)
        ways[way] = ways.get(way, 0) + 1
    assert {"forward", "back"} == set(ways)


def test_a_crash_while_an_interrupted_rotation_is_finished() -> None:
    """The start that finishes it stops at each of its own steps, too."""
    _, _, steps = crashing(0, 0)
    tried = 0
    for at in range(steps // 2, steps, 5):
        for second in range(1 + at % 7, 60, 7):
            case, size, _ = crashing(at, at)
            case.disk.crash_at = case.disk.steps + second
            try:
                reopened(case)._process_lock.release()
            except Crash:
                case.disk.crash()
                tried += 1
            case.disk.crash_at = 0
            check_whole(case, size)
    assert tried > 20


def test_a_disk_that_fails_at_each_step_leaves_one_key() -> None:
    _, _, steps = crashing(0, 0)
    for at in range(1, steps + 1):
        case = made(at)
        ledger = case.recover()
        append(case, ledger)
        ledger.publish_now()
        size, old = ledger.size, ledger.verifiers
        case.disk.fail_at = case.disk.steps + at
        try:
            rotate(case, ledger, *BOTH)
        except AffidavitError:
            if ledger.failure is None:
                assert old == ledger.verifiers
                append(case, ledger)
                ledger.publish_now()
                size = -1
        case.disk.fail_at = 0
        ledger._process_lock.release()
        if size < 0:
            again = reopened(case)
            assert ([], old) == (keys_of_records(again), again.verifiers)
        else:
            check_whole(case, size)


def test_an_older_copy_of_the_key_signs_no_more() -> None:
    case = made()
    old = {name: case.disk.copy(LAYOUT.secrets / name) for name in (LOG_KEY, LOG_VKEY)}
    ledger = case.recover()
    rotate(case, ledger)
    ledger.close("")
    for name, data in old.items():
        case.disk.replace(LAYOUT.secrets / name, data)
    with pytest.raises(Corruption) as refused:
        reopened(case)
    assert "key.not_in_force" == refused.value.code


@pytest.mark.parametrize("how", ["gone", "altered", "unlisted"])
def test_a_rotation_note_that_is_gone_or_altered_stops_the_writer(how: str) -> None:
    case = made()
    ledger = case.recover()
    index = rotate(case, ledger)
    append(case, ledger)
    ledger.close("")
    path = LAYOUT.log / rotation_path(index)
    alterations: dict[str, Callable[[], None]] = {
        "gone": lambda: case.disk.replace(path, None),
        "altered": lambda: case.disk.flip(path, 40),
        "unlisted": lambda: case.disk.replace(LAYOUT.log / "key" / "sizes", None),
    }
    alterations[how]()
    with pytest.raises(Corruption):
        reopened(case)


def test_a_checkpoint_by_the_key_of_another_time_is_refused() -> None:
    case = made()
    assert case.secrets is not None
    stolen = case.secrets.signers
    ledger = case.recover()
    rotate(case, ledger)
    ledger.close("")
    published = ledger.published
    case.disk.replace(LAYOUT.checkpoint, sign_checkpoint(published, *stolen))
    with pytest.raises(Corruption) as refused:
        reopened(case)
    assert "signs checkpoints of more than 0" in str(refused.value)


def test_a_signer_that_is_away_holds_up_publication_and_nothing_else() -> None:
    case = made()
    ledger = case.recover()
    signer = ledger._publisher.signer
    ledger._publisher.signer = AwaySigner(signer.verifiers)
    for _ in range(3):
        append(case, ledger)
        with pytest.raises(Unavailable, match="does not answer"):
            ledger.publish_now()
    assert ledger.failure is None and ledger.unsigned is not None
    with pytest.raises(Unavailable, match="does not answer"):
        rotate(case, ledger)
    append(case, ledger)
    ledger._publisher.signer = signer
    assert ledger.size == ledger.publish_now().size
    assert ledger.unsigned is None
    ledger.close("")
    reopened(case)


def test_the_next_signer_that_is_away_leaves_the_old_key() -> None:
    case = made()
    ledger = case.recover()
    new = successor(case)
    new.signer = AwaySigner(new.signer.verifiers)
    with pytest.raises(Unavailable, match="does not answer"):
        ledger.rotate(new, "time to", {}, {})
    assert NEXT_KEY not in case.disk.names(LAYOUT.secrets)
    append(case, ledger)
    ledger.publish_now()
    ledger.close("")
    reopened(case)


def test_a_signer_that_answers_wrongly_publishes_nothing() -> None:
    case = made()
    ledger = case.recover()

    class Wrong:
        verifiers = ledger.verifiers

        def sign(self, purpose: Purpose, text: str) -> tuple[object, ...]:
            return FileSigner([SignerKey(ORIGIN, b"\1" * 32)]).sign(purpose, text)

    before = case.disk.copy(LAYOUT.checkpoint)
    ledger._publisher.signer = Wrong()  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="What the signer answered is not used"):
        ledger.publish_now()
    assert before == case.disk.copy(LAYOUT.checkpoint)


def test_while_the_signer_is_away_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    case = made()
    ledger = case.recover()
    ledger.publish_now()
    signer = ledger._publisher.signer
    ledger._publisher.signer = AwaySigner(signer.verifiers)
    monkeypatch.setattr("affidavit.ledger.ledger.UNPUBLISHED_BYTES_MAX", 2_000)
    codes = []
    for _ in range(6):
        answer = ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
        codes.append(code(answer))
    assert ["", "full"] == sorted(set(codes))
    assert ledger.failure is None
    ledger._publisher.signer = signer
    append(case, ledger)
    ledger.close("")


def test_a_checkpoint_is_kept_each_hour() -> None:
    case = made()
    ledger = case.recover()
    before = set(case.disk.names(LAYOUT.kept))
    assert 1 == len(before), "the first one of the log"
    for _ in range(4):
        case.clock.advance(20 * 60 * 10**9)
        append(case, ledger)
        ledger.publish_now()
    ledger.close("")
    kept = case.disk.names(LAYOUT.kept)
    assert 1 + len(before) == len(kept)
    again = reopened(case)
    append(case, again)
    again.publish_now()
    assert kept == case.disk.names(LAYOUT.kept), "a restart within the hour keeps no other"


def test_a_kept_checkpoint_that_cannot_be_written_stops_nothing() -> None:
    case = made()
    ledger = case.recover()
    case.clock.advance(2 * 3600 * 10**9)
    append(case, ledger)
    ledger._kept.keep = lambda size: (_ for _ in ()).throw(Unavailable("disk.write", "no space"))  # type: ignore[method-assign]
    published = ledger.publish_now()
    said = ledger.publication
    assert (ledger.size, "no space", None) == (published.size, said.kept_problem, said.failure)
    assert format_moment(case.clock.now_ns())[:19] == said.kept_since[:19]
    assert Checkpoint(ORIGIN, published.size, published.root) == published


def test_what_is_kept_has_its_own_name_also_where_somebody_else_would_publish_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = made()
    ledger = case.recover()
    case.clock.advance(2 * 3600 * 10**9)
    append(case, ledger)
    others: list[Thread] = []
    read = case.disk.read

    def reading(path: Path, limit: int) -> bytes | None:
        if path == LAYOUT.checkpoint and not others:
            append(case, ledger)
            others.append(Thread(target=ledger.publish_now))
            others[0].start()
            others[0].join(0.2)  # as long as it takes where nothing holds it up
        return read(path, limit)

    keep = ledger._kept.keep

    def keeping(size: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(case.disk, "read", reading)
            keep(size)

    monkeypatch.setattr(ledger._kept, "keep", keeping)
    ledger.publish_now()
    others[0].join()
    for name in case.disk.names(LAYOUT.kept):
        note = case.disk.copy(LAYOUT.kept / name).decode()
        assert int(name) == int(note.splitlines()[1])
