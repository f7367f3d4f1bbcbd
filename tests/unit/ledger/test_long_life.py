"""A log of years: starts that read what changed, a journal that is pruned, references to old records, old partials."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest
from ledgercase import ACTOR, ADMINISTRATOR, BOOT, ORIGIN, SYSTEM, Batch, Case, Earlier, code
from simdisk import SimDisk

from affidavit import canonical
from affidavit.errors import Corruption
from affidavit.ledger import journal, keeper, publisher, standing
from affidavit.ledger.bundles import read_bundle
from affidavit.ledger.journal import Scan, segments_of
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.reader import Reader
from affidavit.ledger.recovery import Opening, recover
from affidavit.ledger.signer import FileSigner
from affidavit.ledger.snapshot import fold_bytes, snapshot_key, write_snapshot
from affidavit.ledger.standing import Standing, notes_of
from affidavit.limits import TILE_WIDTH
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.rotation import KeyChain
from affidavit.tlog.tiles import tile_path, tiles_of

ROOT = Path("/data")
LAYOUT = Layout(ROOT)
NOBODY = "u-ffffffffffffffff"


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk()


@pytest.fixture
def case(disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 2)
    case = Case(disk, ROOT)
    case.create()
    return case


def work(case: Case, ledger: Ledger, batches: int, each: int = 100) -> tuple[int, int]:
    """A session that stays open, with accesses, published after each batch: its index and its context's."""
    stream = case.stream()
    session, context = case.session(ledger, stream)
    for number in range(batches):
        drafts = tuple(case.access(session, context) for _ in range(each))
        assert "" == code(ledger.append(Batch(stream, BOOT, 2 + number * each, drafts)))
        ledger.publish_now()
    return session, context


def stop(ledger: Ledger) -> None:
    """The process is gone, without a word."""
    ledger._process_lock.release()


def begins(case: Case) -> int:
    return segments_of(case.disk, LAYOUT.journal)[0]


def key(case: Case) -> bytes:
    assert case.secrets is not None
    return snapshot_key(case.secrets.digest_key)


def test_a_start_after_an_orderly_stop_folds_nothing(case: Case) -> None:
    ledger = case.recover()
    work(case, ledger, 8)
    ledger.close("done")
    found = case.look()
    assert (ledger.size, 0, ledger.size) == (found.snapshot_size, found.folded, found.standing.size)


def test_a_start_after_a_crash_folds_what_came_after_the_snapshot(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SNAPSHOT_RECORDS", 250)
    ledger = case.recover()
    work(case, ledger, 12)
    size = ledger.published.size
    ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(), case.context())))
    stop(ledger)
    found = case.look()
    assert size - 250 < found.snapshot_size <= size < ledger.size
    assert ledger.size - found.snapshot_size == found.folded
    assert size == found.published_standing.size


def test_an_open_session_lives_in_the_snapshot_as_it_does_in_the_log(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    session, context = work(case, ledger, 3)
    ledger.append(Batch(case.stream(), BOOT, 0, (case.access(session, context, kind="access.intent"),)))
    ledger.close("")
    with_snapshot = case.look()
    assert {session} == set(with_snapshot.standing.sessions)
    assert 1 == len(with_snapshot.standing.sessions[session].intents)
    disk.replace(LAYOUT.standing, None)
    without = case.look()
    assert with_snapshot.standing.size == without.folded
    assert fold_bytes(with_snapshot.standing) == fold_bytes(without.standing)
    again = case.recover()
    assert "log.gap" == again.reader().record(ledger.size).header.kind


def flipped(case: Case, disk: SimDisk) -> None:
    disk.flip(LAYOUT.standing, len(disk.copy(LAYOUT.standing)) - 2)


def cut(case: Case, disk: SimDisk) -> None:
    disk.replace(LAYOUT.standing, disk.copy(LAYOUT.standing)[:-1])


def emptied(case: Case, disk: SimDisk) -> None:
    disk.replace(LAYOUT.standing, b"")


def removed(case: Case, disk: SimDisk) -> None:
    disk.replace(LAYOUT.standing, None)


def made_with_other_keys(case: Case, disk: SimDisk) -> None:
    found = case.look()
    write_snapshot(disk, LAYOUT, b"k" * 32, found.publisher.published, found.standing)


def too_new(case: Case, disk: SimDisk) -> None:
    found = case.look()
    found.standing.size += 1
    write_snapshot(disk, LAYOUT, key(case), Checkpoint(ORIGIN, found.standing.size, bytes(32)), found.standing)


def of_another_log(case: Case, disk: SimDisk) -> None:
    found = case.look()
    published = found.publisher.published
    write_snapshot(disk, LAYOUT, key(case), Checkpoint("other.example/log", published.size, published.root), Standing())


def of_another_history(case: Case, disk: SimDisk) -> None:
    found = case.look()
    checkpoint = Checkpoint(ORIGIN, found.publisher.published.size, b"r" * 32)
    write_snapshot(disk, LAYOUT, key(case), checkpoint, found.standing)


def of_another_earlier_history(case: Case, disk: SimDisk) -> None:
    earlier = Standing()
    earlier.size = begins(case) + 5
    write_snapshot(disk, LAYOUT, key(case), Checkpoint(ORIGIN, earlier.size, b"r" * 32), earlier)


def older_than_the_journal(case: Case, disk: SimDisk) -> None:
    earlier = Standing()
    earlier.size = 5
    write_snapshot(disk, LAYOUT, key(case), Checkpoint(ORIGIN, 5, b"r" * 32), earlier)


def of_no_form(case: Case, disk: SimDisk) -> None:
    data = b'{"origin":1}'
    disk.replace(LAYOUT.standing, b"affidavit standing 1\n" + hmac.digest(key(case), data, "sha256") + data)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (removed, "there is none"),
        (flipped, "damaged, or was not written with this log's secrets"),
        (cut, "damaged"),
        (emptied, "damaged"),
        (made_with_other_keys, "damaged, or was not written with this log's secrets"),
        (too_new, "the checkpoint of"),
        (of_another_log, r"belongs to the log other\.example/log"),
        (of_another_history, "its root is not the root of this log at its size"),
        (of_another_earlier_history, "its root is not the root of this log at its size"),
        (older_than_the_journal, "the journal begins at"),
        (of_no_form, "another form"),
    ],
)
def test_a_snapshot_that_cannot_be_believed_is_left_and_the_log_is_folded(
    case: Case, disk: SimDisk, caplog: pytest.LogCaptureFixture, spoil: object, reason: str
) -> None:
    ledger = case.recover()
    work(case, ledger, 4)
    ledger.close("")
    expected = case.look()
    assert callable(spoil)
    spoil(case, disk)
    caplog.clear()
    heard: list[tuple[int, int]] = []
    assert case.secrets is not None
    signer, keys = FileSigner(case.secrets.signers), case.secrets.body_keys_by_id
    found = recover(Opening(disk, LAYOUT, signer, keys, key(case), lambda *at: heard.append(at)))
    assert (0, ledger.size) == (found.snapshot_size, found.folded)
    assert fold_bytes(expected.standing) == fold_bytes(found.standing)
    assert [reason] == [reason for record in caplog.records if _matches(reason, record.getMessage())]
    assert (ledger.size, ledger.size) == heard[-1]
    assert heard == sorted(heard)
    ledger = case.recover()  # and the next one is written at the end
    ledger.close("")
    assert ledger.size == case.look().snapshot_size


def _matches(reason: str, text: str) -> bool:
    return reason.replace("\\", "") in text


def test_an_older_snapshot_of_the_same_log_is_as_good(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 1)
    ledger.close("")
    old = disk.copy(LAYOUT.standing)
    again = case.recover()
    work(case, again, 1)
    again.close("")
    newest = case.look()
    disk.replace(LAYOUT.standing, old)
    found = case.look()
    assert (ledger.size, again.size - ledger.size) == (found.snapshot_size, found.folded)
    assert fold_bytes(newest.standing) == fold_bytes(found.standing)


def test_a_full_disk_for_the_snapshot_does_not_end_the_log(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    ledger.publish_now()
    ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    before = disk.copy(LAYOUT.standing)
    disk.read_only = LAYOUT.snapshotting
    ledger._keeper.written_size = -1_000_000  # a snapshot is due
    ledger.publish_now()
    assert ledger.failure is None
    assert before == disk.copy(LAYOUT.standing)
    disk.read_only = None
    ledger.close("")
    assert ledger.size == case.look().snapshot_size


def test_the_journal_is_pruned_of_what_is_published(case: Case) -> None:
    ledger = case.recover()
    work(case, ledger, 20)
    first = begins(case)
    assert 0 < first <= (ledger.size - 1) // 256 * 256
    assert 3 == len(segments_of(case.disk, LAYOUT.journal))
    ledger.close("")
    records = list(ledger.reader().records(0, ledger.size))
    assert list(range(ledger.size)) == [record.index for record in records]
    again = case.recover()
    assert ledger.size == again.size - 3  # log.gap (the session stayed open), log.open, clock
    again.close("")


def test_a_pruned_journal_without_a_snapshot_is_folded_from_the_bundles(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 20)
    ledger.close("")
    expected = case.look()
    disk.replace(LAYOUT.standing, None)
    found = case.look()
    assert begins(case) > 0
    assert (0, ledger.size) == (found.snapshot_size, found.folded)
    assert fold_bytes(expected.standing) == fold_bytes(found.standing)
    disk.flip(LAYOUT.entries(1), 100)
    with pytest.raises(Corruption, match="do not hash to") as caught:
        case.look()
    assert "log.bundle" == caught.value.code


def test_bundles_and_tiles_that_agree_on_another_history_are_a_fork(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 20)
    ledger.close("")
    disk.replace(LAYOUT.standing, None)
    one, other = LAYOUT.log / tile_path(0, 0), LAYOUT.log / tile_path(0, 1)
    for left, right in ((one, other), (LAYOUT.entries(0), LAYOUT.entries(1)), (LAYOUT.slots(0), LAYOUT.slots(1))):
        swapped = disk.copy(left)
        disk.replace(left, disk.copy(right))
        disk.replace(right, swapped)
    with pytest.raises(Corruption) as caught:
        case.look()
    assert "log.fork" == caught.value.code


def test_a_reader_of_the_folder_reads_a_pruned_log_whole(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 20)
    assert begins(case) > 0
    assert case.secrets is not None
    reader = Reader.of_folder(ROOT, disk, case.secrets.body_keys_by_id, KeyChain.unbroken(case.secrets.verifiers))
    assert ledger.size == reader.size
    assert [1, 300, ledger.size - 1] == [reader.record(at).index for at in (1, 300, ledger.size - 1)]


def test_a_journal_that_begins_beyond_what_is_published_is_corruption(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 6, each=60)
    stop(ledger)
    segments = segments_of(disk, LAYOUT.journal)
    note = disk.copy(LAYOUT.checkpoint)
    for first in segments[:-1]:
        disk.replace(LAYOUT.journal / journal.segment_name(first), None)
    with pytest.raises(Corruption) as caught:
        case.recover()
    assert "journal.begins" == caught.value.code
    assert note == disk.copy(LAYOUT.checkpoint)
    assert not disk.locked


def test_a_hole_in_what_a_start_reads_is_corruption(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 6)
    segments = segments_of(disk, LAYOUT.journal)
    stop(ledger)
    disk.replace(LAYOUT.standing, None)
    disk.replace(LAYOUT.journal / journal.segment_name(segments[1]), None)
    with pytest.raises(Corruption, match="should go on"):
        case.recover()


def unpruned(case: Case, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A log with several segments that may go, from which none went yet."""
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 1_000)
    ledger = case.recover()
    work(case, ledger, 12)
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 2)
    assert 0 == begins(case)
    return ledger


@pytest.mark.parametrize("what", ["entries", "slots", "tile", "upper tile", "journal"])
def test_nothing_is_pruned_where_the_published_files_do_not_hold(
    case: Case, disk: SimDisk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    ledger = unpruned(case, monkeypatch)
    size = ledger.published.size
    path = {
        "entries": LAYOUT.entries(0),
        "slots": LAYOUT.slots(0),
        "tile": LAYOUT.log / tile_path(0, 0),
        "upper tile": LAYOUT.log / tile_path(1, 0, size >> 8),
        "journal": LAYOUT.journal / journal.segment_name(0),
    }[what]
    disk.flip(path, 1_500 if what != "upper tile" else 40)
    ledger._publisher.prune(size)
    assert 0 == begins(case)
    assert ledger._publisher.prune_problem
    assert ledger.failure is None
    disk.flip(path, 1_500 if what != "upper tile" else 40)
    ledger._publisher.prune(size)
    assert 0 == begins(case), "what was found once is not tried again without a new start"


def test_what_is_synced_and_read_back_goes_segment_by_segment(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = unpruned(case, monkeypatch)
    segments = segments_of(case.disk, LAYOUT.journal)
    ledger._publisher.prune(0)  # no snapshot that would spare the next start reading it
    assert segments == segments_of(case.disk, LAYOUT.journal)
    ledger._publisher.prune(ledger.published.size)
    assert segments[1:] == segments_of(case.disk, LAYOUT.journal)
    for _ in segments:
        ledger._publisher.prune(ledger.published.size)
    assert segments[-3:] == segments_of(case.disk, LAYOUT.journal)
    assert "" == ledger._publisher.prune_problem


def test_what_is_read_back_before_pruning_is_read_from_the_medium(
    case: Case, disk: SimDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page cache holds is no reason to remove the other copy."""
    ledger = unpruned(case, monkeypatch)
    segments = segments_of(disk, LAYOUT.journal)
    settled: set[Path] = set()
    early: list[Path] = []
    settle, read = disk.settle, disk.read

    def noted(path: Path) -> None:
        settled.add(path)
        settle(path)

    def looked(path: Path, limit: int) -> bytes | None:
        early.extend({path} & {*published} - settled)
        return read(path, limit)

    bundles = range((segments[1] - 1) // TILE_WIDTH + 1)
    published = [
        path for at in bundles for path in (LAYOUT.entries(at), LAYOUT.slots(at), LAYOUT.log / tile_path(0, at))
    ]
    monkeypatch.setattr(disk, "settle", noted)
    monkeypatch.setattr(disk, "read", looked)
    ledger._publisher.prune(ledger.published.size)
    assert segments[1:] == segments_of(disk, LAYOUT.journal)
    assert ([], set(published)) == (early, settled)


def test_old_records_can_still_be_referred_to(case: Case, disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "KINDS_KEPT", 32)
    ledger = case.recover()
    session, context = work(case, ledger, 12)
    old, common = session + 10, {"actor": ADMINISTRATOR, "action": "grant", "decision": "allow"}

    def approval(ref: int) -> str:
        draft = case.draft("approval", ref=ref, decided=ledger.state_index, **common)
        return code(ledger.append(Batch(case.stream(), BOOT, 0, (draft,))))

    assert "" == approval(old)  # an access, in a bundle
    assert "" == approval(old)
    assert "reference" == approval(context)  # a context, in the same bundle
    assert "" == approval(ledger.reader().size - 10)  # an access that is in memory
    disk.flip(LAYOUT.entries(2), 100)
    assert "reference" == approval(600)
    assert ledger.failure is None


def test_notes_tell_a_second_fold_what_the_first_one_saw(case: Case) -> None:
    ledger = case.recover()
    stream, other = case.stream(), case.stream()
    drafts = [case.opening(), case.context(), *(case.access(Earlier(0), Earlier(1)) for _ in range(3))]
    drafts.append(case.access(Earlier(0), Earlier(1), kind="access.intent"))
    drafts.append(
        case.draft("access.outcome", actor=ACTOR, system=SYSTEM, session=Earlier(0), ref=Earlier(5), outcome="ok")
    )
    drafts.append(case.draft("session.close", actor=ACTOR, system=SYSTEM, session=Earlier(0), outcome="ok"))
    for first in range(len(drafts)):
        ledger.append(Batch(stream, BOOT, first, (drafts[first],)))
        assert "" == code(ledger.append(Batch(other, BOOT, first, (case.context(actor=NOBODY),))))
    records = list(ledger.reader().records(0, ledger.size))
    headers = [record.header for record in records]
    bodies = [None if record.body is None else canonical.encode(record.content) for record in records]
    first_fold = Standing()
    for header, body in zip(headers, bodies, strict=True):
        first_fold.apply(header, body)
    for stops in ([ledger.size], [7, 9, ledger.size], list(range(1, ledger.size + 1))):
        second, at = Standing(), 0
        for stop_at in stops:
            for note in notes_of(headers[at:stop_at], bodies[at:stop_at]):
                second.take(note)
            at = stop_at
        assert fold_bytes(first_fold) == fold_bytes(second)
        assert [header.kind for header in headers] == [second.kind_at(index) for index in range(ledger.size)]


def partials(disk: SimDisk) -> set[Path]:
    return {path for folder in (LAYOUT.log, LAYOUT.bodies) for path in disk.paths(folder) if path.parent.suffix == ".p"}


def test_partials_of_every_published_size_stay_until_the_full_tile_exists(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    sizes = []
    for _ in range(14):
        work(case, ledger, 1, each=40)
        sizes.append(ledger.published.size)
        for size in sizes:
            for tile in tiles_of(size):
                full = LAYOUT.log / tile_path(tile.level or 0, tile.index)
                assert disk.exists(LAYOUT.log / tile.path) or disk.exists(full), (size, tile)
    newest = ledger.published.size
    for path in partials(disk):
        index = int(path.parent.stem)
        level = path.parent.parent.name if path.is_relative_to(LAYOUT.log) else "0"
        assert index == newest >> (16 if level == "1" else 8), path


def test_partials_that_a_crash_left_go_at_the_next_start(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    work(case, ledger, 1, each=120)
    left = {path: disk.copy(path) for path in partials(disk)}
    work(case, ledger, 2, each=150)
    ledger.close("")
    now = partials(disk)
    for path, data in left.items():
        disk.replace(path, data)  # as if the crash had come between the checkpoint and the clean-up
    gone = set(left) - now - {path for path in left if path.parent.parent.name == "1"}
    assert gone
    assert gone <= partials(disk)
    again = case.recover()
    assert not gone & partials(disk)
    assert now <= partials(disk)
    again.close("")


def test_bundles_are_read_as_they_were_journaled(case: Case) -> None:
    ledger = case.recover()
    work(case, ledger, 3)
    held = [stored for frame in Scan(case.disk, LAYOUT.journal, ORIGIN) for stored in frame.records]
    assert held[:256] == read_bundle(case.disk, LAYOUT, 0)[0]
