"""What a log says when it is opened again: what is cut, what is recorded, and what is refused untouched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ledgercase import BOOT, FIRST_STATE, GENESIS_RECORDS, ORIGIN, AwaySigner, Case, code, indexes
from simdisk import SimDisk

from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.ledger import journal, keeper, own, publisher
from affidavit.ledger.journal import Scan
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.limits import TILE_WIDTH
from affidavit.record.draft import Batch
from affidavit.record.frame import encode_frame
from affidavit.record.read import Record
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint

ROOT = Path("/data")
LAYOUT = Layout(ROOT)
SEGMENT = LAYOUT.journal / f"{0:020d}.segment"


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk()


@pytest.fixture
def case(disk: SimDisk) -> Case:
    case = Case(disk, ROOT)
    case.create()
    return case


def filled(case: Case, count: int = 600) -> None:
    """A closed log with one session of `count` accesses, in a few batches, published along the way."""
    ledger = case.recover()
    stream = case.stream()
    session, context = case.session(ledger, stream)
    for start in range(0, count, 100):
        drafts = tuple(case.access(session, context) for _ in range(100))
        assert "" == code(ledger.append(Batch(stream, BOOT, 2 + start, drafts)))
        if start == 300:
            ledger.publish_now()
    closing = case.draft("session.close", actor=drafts[0].actor, system="clinic", session=session, outcome="ok")
    ledger.append(Batch(stream, BOOT, 2 + count, (closing,)))
    ledger.close("done")


def read_all(disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are small, none is pruned, and the next start reads all of them: there is no snapshot."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 1_000)
    monkeypatch.setattr(keeper, "write_snapshot", lambda *_: None)
    disk.replace(LAYOUT.standing, None)


def stop(ledger: Ledger) -> None:
    """The process is gone, without a word."""
    ledger._process_lock.release()


def records(ledger: Ledger, start: int = 0) -> list[Record]:
    return list(ledger.reader().records(start, ledger.size))


def kinds(ledger: Ledger, start: int) -> list[str]:
    return [record.header.kind for record in records(ledger, start)]


def frames(case: Case) -> list[journal.Frame]:
    return list(Scan(case.disk, LAYOUT.journal, ORIGIN))


def test_genesis_is_log_open_clock_change(case: Case) -> None:
    ledger = case.recover()
    assert ["log.open", "clock", "change", "log.close", "log.open", "clock"] == kinds(ledger, 0)
    opened, clock, change = records(ledger)[:3]
    assert ("genesis", ORIGIN) == (opened.content["reason"], opened.content["origin"])
    assert "u-00000000000000aa" == opened.content["administrator"]
    assert (1, 0, 0) == (change.header.time.clock, change.header.decided, change.header.log.state)
    assert FIRST_STATE == records(ledger)[4].header.log.state == ledger.state_index
    assert ("start", BOOT, "4000000") == tuple(clock.content[name] for name in ("reason", "boot", "bound_ns"))
    assert GENESIS_RECORDS == ledger.published.size


def test_a_folder_that_holds_something_is_not_made_a_log(case: Case) -> None:
    with pytest.raises(InvalidInput, match="not empty"):
        case.create()


def test_an_orderly_stop_needs_no_gap(case: Case) -> None:
    filled(case)
    ledger = case.recover()
    assert ["session.close", "log.close", "log.open", "clock"] == kinds(ledger, ledger.size - 4)


def test_after_a_crash_a_gap_names_the_dead_streams_and_ends_their_sessions(case: Case) -> None:
    ledger = case.recover()
    stream = case.stream()
    session, context = case.session(ledger, stream)
    last_at = records(ledger)[-1].header.log.at
    stop(ledger)
    case.clock.advance(10**9)
    again = case.recover()
    assert ["log.gap", "log.open", "clock"] == kinds(again, ledger.size)
    gap = records(again)[ledger.size]
    assert ("crash", last_at) == (gap.content["cause"], gap.content["start"])
    assert stream in gap.content["streams"]
    assert gap.content["end"] > gap.content["start"]
    assert "number" == code(again.append(Batch(stream, BOOT, 2, (case.access(session, context),))))
    assert "reference" == code(again.append(Batch(case.stream(), BOOT, 0, (case.access(session, context),))))


def test_a_gap_that_names_many_streams_is_several_records(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "GAP_STREAMS_MAX", 2)
    ledger = case.recover()
    streams = {case.stream() for _ in range(5)}
    for stream in streams:
        ledger.append(Batch(stream, BOOT, 0, (case.context(),)))
    stop(ledger)
    again = case.recover()
    gaps = [record for record in records(again) if record.header.kind == "log.gap"]
    assert 3 == len(gaps)  # five streams, and the ledger's own
    assert streams <= {name for gap in gaps for name in gap.content["streams"]}


def test_a_session_that_was_open_at_an_orderly_stop_is_ended_too(case: Case) -> None:
    ledger = case.recover()
    session, context = case.session(ledger, case.stream())
    ledger.close("too early")
    again = case.recover()
    assert ["log.close", "log.gap", "log.open", "clock"] == kinds(again, again.size - 4)
    assert 1 == records(again)[-4].content["streams"]
    assert "reference" == code(again.append(Batch(case.stream(), BOOT, 0, (case.access(session, context),))))


def test_sequencing_goes_on_as_if_nothing_had_happened(case: Case) -> None:
    filled(case)
    ledger = case.recover()
    change = ledger.append(Batch(case.stream(), BOOT, 0, (case.change(FIRST_STATE),)))
    ledger.close("")
    again = case.recover()
    assert indexes(change)[0] + 1 == again.state_index
    last = records(again)[-1].header
    assert (again.size - 1, again.state_index) == (records(again)[-1].index, last.log.state)


def test_a_torn_last_frame_is_cut_and_written_over(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
    stop(ledger)
    size, last = ledger.size, frames(case)[-1]
    disk.flip(SEGMENT, last.end - 1)
    again = case.recover()
    assert ["log.gap", "log.open", "clock"] == kinds(again, size - 1)
    stop(again)
    assert again.size == sum(len(frame.records) for frame in frames(case))


def test_nothing_of_a_long_torn_frame_stays_behind_what_is_written_over_it(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.context() for _ in range(50))))
    stop(ledger)
    torn = frames(case)[-1]
    disk.flip(SEGMENT, torn.end - 1)
    stop(case.recover())
    scan = Scan(disk, LAYOUT.journal, ORIGIN)
    ended = [frame.end for frame in scan][-1]
    assert ended < torn.end
    assert scan.end is not None
    assert scan.end.torn is None
    assert not any(disk.copy(SEGMENT)[ended:])


@pytest.mark.parametrize("what", ["magic", "length", "first", "record", "last byte"])
def test_damage_before_the_last_frame_is_corruption_and_nothing_changes(case: Case, disk: SimDisk, what: str) -> None:
    filled(case)
    frame = frames(case)[4]
    position = {"magic": 0, "length": 5, "first": 14, "record": 200, "last byte": frame.end - frame.offset - 1}[what]
    disk.flip(SEGMENT, frame.offset + position)
    before = disk.copy(SEGMENT)
    with pytest.raises(Corruption, match=f"offset {frame.offset}") as caught:
        case.recover()
    assert "journal.damage" == caught.value.code
    assert SEGMENT.name in str(caught.value)
    assert before == disk.copy(SEGMENT)
    assert not disk.locked


def test_damage_in_an_earlier_segment_is_corruption(case: Case, disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    read_all(disk, monkeypatch)
    filled(case)
    last_of_first = [frame for frame in journal.read_frames(disk.copy(SEGMENT)) if isinstance(frame, journal.Frame)][-1]
    disk.flip(SEGMENT, last_of_first.offset)
    with pytest.raises(Corruption, match="a later segment follows"):
        case.recover()


def test_segments_that_are_missing_or_foreign_are_corruption(
    case: Case, disk: SimDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_all(disk, monkeypatch)
    filled(case)
    segments = disk.paths(LAYOUT.journal)
    assert len(segments) > 3
    middle = disk.copy(segments[1])
    disk.replace(segments[1], None)
    with pytest.raises(Corruption, match=r"should go on"):
        case.recover()
    disk.replace(segments[1], b"x" + middle[1:])
    with pytest.raises(Corruption, match="does not begin as one of this log"):
        case.recover()
    disk.replace(segments[1], middle)
    disk.replace(LAYOUT.journal / "notes.txt", b"")
    with pytest.raises(Corruption, match=r"notes\.txt"):
        case.recover()
    disk.replace(LAYOUT.journal / "notes.txt", None)
    for segment in segments:
        disk.replace(segment, None)
    with pytest.raises(Corruption, match="no journal segment"):
        case.recover()


def test_a_journal_behind_its_checkpoint_was_rolled_back(case: Case, disk: SimDisk) -> None:
    early = disk.copy(SEGMENT)
    filled(case)
    disk.replace(SEGMENT, early)
    with pytest.raises(Corruption, match="cut or rolled back") as caught:
        case.recover()
    assert "log.ahead" == caught.value.code


def test_a_torn_frame_that_was_published_is_not_cut(case: Case, disk: SimDisk) -> None:
    filled(case)
    last = frames(case)[-1]
    disk.flip(SEGMENT, last.end - 1)
    before = disk.copy(SEGMENT)
    with pytest.raises(Corruption, match="cut or rolled back"):
        case.recover()
    assert before == disk.copy(SEGMENT)


def test_another_history_of_the_same_length_is_refused(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    ledger.close("")
    fork = disk.copy(SEGMENT)
    other = Case(SimDisk(), ROOT, seed=7)
    other.create()
    other.recover().close("")
    assert isinstance(other.disk, SimDisk)
    theirs = other.disk.copy(SEGMENT)
    assert len(fork) == len(theirs)
    disk.replace(SEGMENT, theirs)
    with pytest.raises(Corruption) as caught:
        case.recover()
    assert caught.value.code in {"log.fork", "log.body"}


def test_a_record_exchanged_in_the_journal_is_refused_wherever_it_stands(case: Case, disk: SimDisk) -> None:
    """Its frame is whole, and the newest bundles, which are compared byte by byte, do not reach so far back."""
    filled(case)
    disk.replace(LAYOUT.standing, None)
    data = disk.copy(SEGMENT)
    frame = frames(case)[4]
    exchanged = [(raw.replace(b'"observed"', b'"imported"'), slot) for raw, slot in frame.records]
    assert exchanged[0] != frame.records[0]
    assert frame.first + len(exchanged) < TILE_WIDTH
    false = data[: frame.offset] + encode_frame(frame.first, exchanged) + data[frame.end :]
    disk.replace(SEGMENT, false)
    before = disk.copy(LAYOUT.checkpoint)
    with pytest.raises(Corruption) as caught:
        case.recover()
    assert "log.fork" == caught.value.code
    assert (false, before) == (disk.copy(SEGMENT), disk.copy(LAYOUT.checkpoint))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("log/checkpoint", "log.checkpoint"),
        ("log/tile/0/002.p/98", "log.tile"),
        ("log/tile/1/000.p/2", "log.tile"),
        ("log/tile/entries/002.p/98", "log.bundle"),
        ("bodies/002.p/98", "log.bundle"),
    ],
)
@pytest.mark.parametrize("how", ["flipped", "cut", "removed", "longer"])
def test_published_files_that_were_altered_are_noticed(
    case: Case, disk: SimDisk, path: str, code: str, how: str
) -> None:
    filled(case)
    assert 610 == sum(len(frame.records) for frame in frames(case))
    data = disk.copy(ROOT / path)
    altered = {
        "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        "cut": data[:-1],
        "removed": None,
        "longer": data + data[:1],
    }
    disk.replace(ROOT / path, altered[how])
    with pytest.raises(Corruption) as caught:
        case.recover()
    assert code == caught.value.code


def test_a_checkpoint_by_another_key_is_refused(case: Case, disk: SimDisk) -> None:
    thief = Secrets.create(SimDisk(), Path("/t"), ORIGIN, Case(SimDisk(), ROOT, seed=9).random.randbytes)
    ledger = case.recover()
    published = ledger.published
    stop(ledger)
    note = sign_checkpoint(Checkpoint(ORIGIN, published.size, published.root), *thief.signers)
    disk.replace(LAYOUT.checkpoint, note)
    with pytest.raises(Corruption, match="not a checkpoint by this log's key"):
        case.recover()


def test_keys_of_another_log_are_refused(case: Case, disk: SimDisk) -> None:
    assert case.secrets is not None
    with pytest.raises(InvalidInput, match="keys are those of the log"):
        Ledger.recover(ROOT, disk, case.host, case.secrets, "log.example/other")
    case.secrets = Secrets.create(SimDisk(), Path("/t"), ORIGIN, case.random.randbytes)
    with pytest.raises(Corruption, match="not a checkpoint by this log's key"):
        case.recover()


def test_a_second_writer_is_refused(case: Case) -> None:
    ledger = case.recover()
    with pytest.raises(Unavailable, match="Another writer"):
        case.recover()
    stop(ledger)


def test_no_log_is_said_plainly(disk: SimDisk) -> None:
    case = Case(disk, ROOT)
    case.secrets = Secrets.create(SimDisk(), Path("/t"), ORIGIN, case.random.randbytes)
    with pytest.raises(InvalidInput, match="holds no log"):
        case.recover()


def test_a_log_that_was_not_made_whole_says_what_to_do(disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(disk, ROOT)
    monkeypatch.setattr(Ledger, "publish_now", lambda self: self.published)
    case.create()
    with pytest.raises(Corruption, match="remove the folder and run it again"):
        case.recover()


def test_a_publication_that_a_crash_cut_short_is_finished(case: Case, disk: SimDisk) -> None:
    filled(case)
    checkpoint = disk.copy(LAYOUT.checkpoint)
    ledger = case.recover()
    session, context = case.session(ledger, case.stream())
    drafts = tuple(case.access(session, context) for _ in range(400))
    ledger.append(Batch(case.stream(), BOOT, 0, drafts))
    # Stop just before the checkpoint: tiles are there that it does not speak of.
    ledger._publisher.signer = AwaySigner(ledger.verifiers)
    with pytest.raises(Unavailable):
        ledger.publish_now()
    stop(ledger)
    assert checkpoint == disk.copy(LAYOUT.checkpoint)
    again = case.recover()
    after = again.publish_now()
    assert again.size == after.size
    again.close("")
    case.recover()


@pytest.mark.parametrize("path", ["log/tile/0/000", "log/tile/entries/000", "bodies/000"])
def test_a_full_file_that_holds_something_else_is_never_rewritten(case: Case, disk: SimDisk, path: str) -> None:
    ledger = case.recover()
    disk.replace(ROOT / path, bytes(8192))
    session, context = case.session(ledger, case.stream())
    ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.access(session, context) for _ in range(300))))
    before = disk.copy(LAYOUT.checkpoint)
    with pytest.raises(Unavailable, match="exists and holds something else"):
        ledger.publish_now()
    assert bytes(8192) == disk.copy(ROOT / path)
    assert before == disk.copy(LAYOUT.checkpoint)
    assert "unavailable" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),))))


def test_partials_go_once_the_full_one_is_published(case: Case, disk: SimDisk) -> None:
    filled(case)
    names = [str(path.relative_to(ROOT)) for path in disk.paths(LAYOUT.log) + disk.paths(LAYOUT.bodies)]
    assert [
        "log/checkpoint",
        "log/tile/0/000",
        "log/tile/0/001",
        "log/tile/0/002.p/98",
        "log/tile/1/000.p/1",
        "log/tile/1/000.p/2",
        "log/tile/entries/000",
        "log/tile/entries/001",
        "log/tile/entries/002.p/98",
        "bodies/000",
        "bodies/001",
        "bodies/002.p/98",
    ] == names


def test_a_failed_write_or_sync_ends_the_ledger(case: Case, disk: SimDisk) -> None:
    ledger = case.recover()
    disk.fail_at = disk.steps + 3
    failed = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    steps = disk.steps
    later = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    assert ("unavailable", "unavailable") == (code(failed), code(later))
    assert steps == disk.steps, "the descriptor is not tried again"
    with pytest.raises(Unavailable):
        ledger.flush()
    with pytest.raises(Unavailable):
        ledger.close("")
    assert not disk.locked


def test_clock_records_at_intervals_and_steps(case: Case) -> None:
    ledger = case.recover()
    first = ledger.size

    def clock_after(advance_ns: int, step_ns: int) -> list[tuple[str, str | None]]:
        case.clock.advance(advance_ns)
        case.clock.wall_ns += step_ns
        size = ledger.size
        ledger.tick()
        ledger.step()
        return [(r.content["reason"], r.content.get("step_ns")) for r in records(ledger, size)]

    assert [] == clock_after(599 * 10**9, 9_000_000)
    assert [("interval", None)] == clock_after(1 * 10**9, 0)
    ((reason, step_ns),) = clock_after(10**9, -600_000_000)
    assert ("step", -600) == (reason, round(int(step_ns or 0) / 10**6))
    assert [] == clock_after(10**9, 0)
    answer = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    assert first + 1 == records(ledger, indexes(answer)[0])[0].header.time.clock


@pytest.mark.parametrize(
    ("boot", "said"),
    [(BOOT, "the machine has run on since"), ("c1" * 16, "the machine was started anew since")],
)
def test_a_gap_says_whether_the_machine_was_started_anew(case: Case, disk: SimDisk, boot: str, said: str) -> None:
    stop(case.recover())
    assert case.secrets is not None
    ledger = Ledger.recover(case.root, disk, replace(case.host, boot=boot), case.secrets, ORIGIN)
    gaps = [record for record in ledger.reader().records(0, ledger.size) if record.header.kind == "log.gap"]
    assert [True] == [said in str(gap.content["detail"]) for gap in gaps]
