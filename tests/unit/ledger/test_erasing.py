"""Erasing at the ledger: every byte of the folder forgets, every proof stays, and a start finishes what a stop cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
from erasecase import holders
from ledgercase import BOOT, Batch, Case
from simdisk import Crash, SimDisk

from affidavit.durable import OsDisk
from affidavit.errors import Conflict, Corruption, InvalidInput
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Own
from affidavit.record.body import Erased


def own(ledger: Ledger, index: int, decision: str = "allow", **fields: object) -> Own:
    content = {"reason": "asked for", "record": {}}
    wanted = {"actor": "u-00000000000000aa", "action": "admin", "decision": decision, "ref": index,
              "decided": ledger.state_index, **fields}  # fmt: skip
    return Own("erase", content, wanted)


def filled(case: Case, count: int) -> tuple[Ledger, list[int]]:
    case.create()
    ledger = case.recover()
    stream = case.stream()
    drafts = tuple(case.draft("log.export", actor="u-00000000000000aa") for _ in range(count))
    answer = ledger.append(Batch(stream, BOOT, 0, drafts))
    assert answer.refusal is None, answer.refusal
    return ledger, [receipt.index for receipt in answer.receipts]


@pytest.mark.parametrize("published", ["not", "partly", "before", "twice"])
def test_no_file_holds_the_ciphertext_any_more(tmp_path: Path, published: str) -> None:
    case = Case(OsDisk(), tmp_path / "log")
    ledger, indexes = filled(case, 300)
    if published != "not":
        ledger.publish_now()
    if published == "twice":
        for _ in range(3):
            ledger.append(Batch(case.stream(), BOOT, 0, (case.draft("log.export", actor="u-00000000000000aa"),)))
            ledger.publish_now()
    for index in (indexes[0], indexes[-1]):
        slot = ledger.reader().stored(index)[1]
        reader = ledger.reader()
        reader.record(index)  # it has the bundle in its memory
        assert holders(case.root, slot)
        by = ledger.erase(index, own(ledger, index))
        assert [] == holders(case.root, slot)
        assert Erased(by) == reader.record(index).body
    ledger.publish_now()
    stub = ledger.reader().stored(indexes[0])[1]
    assert ["bodies/000"] == [name for name in holders(case.root, stub) if name.startswith("bodies/")]
    ledger.close("done")
    again = case.recover()
    assert isinstance(again.reader().record(indexes[-1]).body, Erased)
    again.close("done")


def state(ledger: Ledger) -> int:
    return ledger.state_index


def test_nothing_is_recorded_where_it_cannot_be_erased(tmp_path: Path) -> None:
    case = Case(OsDisk(), tmp_path / "log")
    ledger, indexes = filled(case, 3)
    session, context = case.session(ledger, case.stream())
    size = ledger.size
    with pytest.raises(Conflict):
        ledger.erase(indexes[0], own(ledger, indexes[0], decided=state(ledger) - 1))
    with pytest.raises(InvalidInput, match="is a clock"):
        ledger.erase(1, own(ledger, 1))
    with pytest.raises(InvalidInput, match="holds"):
        ledger.erase(size, own(ledger, size))
    with pytest.raises(InvalidInput, match="still open"):
        ledger.erase(session, own(ledger, session))
    assert (size, None) == (ledger.size, ledger.failure)
    ledger.erase(context, own(ledger, context))
    with pytest.raises(InvalidInput, match="already"):
        ledger.erase(context, own(ledger, context))
    ledger.erase(indexes[0], own(ledger, indexes[0], "deny", outcome="none"))
    assert isinstance(ledger.reader().record(indexes[0]).body, dict)
    ledger.close("done")


def test_a_damaged_bundle_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    case = Case(OsDisk(), tmp_path / "log")
    ledger, indexes = filled(case, 300)
    ledger.publish_now()
    bundle = case.root / "bodies" / "000"
    data = bundle.read_bytes()
    bundle.write_bytes(data[:-1])
    size = ledger.size
    with pytest.raises(Corruption):
        ledger.erase(indexes[0], own(ledger, indexes[0]))
    assert (size, None) == (ledger.size, ledger.failure)
    bundle.write_bytes(data)
    ledger.erase(indexes[0], own(ledger, indexes[0]))
    ledger.close("done")


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("how", ["crash", "kill"])
def test_a_start_finishes_what_a_stop_cut_short(published: bool, how: str) -> None:
    """At each step of the disk in turn, until one erasure gets through: nothing acknowledged is lost, the log opens, and
    where the erase record is there, no byte of the body is."""
    for step in range(1, 80, 3):
        disk = SimDisk(step)
        case = Case(disk, Path("/log"), seed=step)
        ledger, indexes = filled(case, 260)
        if published:
            ledger.publish_now()
        index = indexes[3]
        slot = ledger.reader().stored(index)[1]
        disk.crash_at = disk.steps + step
        try:
            ledger.erase(index, own(ledger, index))
        except Crash:
            pass
        else:
            break
        getattr(disk, how)()
        again = case.recover()
        assert again.size >= indexes[-1] + 1
        record = again.reader().record(index)
        erasures = [one for one in again.reader().records(0, again.size) if one.header.kind == "erase"]
        if erasures:
            assert Erased(erasures[0].index) == record.body, step
            assert [] == [path for path in disk.paths(Path("/log")) if slot in disk.copy(path)], step
        else:
            assert isinstance(record.body, dict), step
        again.publish_now()
        again.close("done")
        case.recover().close("done")
    else:
        pytest.fail("no erasure got through")
    assert step > 8, "an erasure takes more steps than that"
