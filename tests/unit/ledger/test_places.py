"""Rounds over all places of a real log: what they get, what the published note gains, and what ends the writing."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from ledgercase import ORIGIN, Case
from test_witness_place import Mounted
from witnesscase import open_witness

from affidavit.clock import SystemClock
from affidavit.durable import OsDisk
from affidavit.errors import Corruption, Unavailable
from affidavit.ledger import places as rounds
from affidavit.ledger.folder_place import FolderPlace
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.place import Place, Published, Seen
from affidavit.ledger.places import Places, PlaceStatus
from affidavit.ledger.witness_http import WitnessHttp
from affidavit.ledger.witness_place import WitnessPlace
from affidavit.record.draft import Batch
from affidavit.server.witness import Witness
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.policy import Policy


class Site:
    """A real log on a real disk, without threads of its own, and witnesses that follow it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.case = Case(OsDisk(), root / "log")
        self.key = self.case.create().verifier
        self.witnesses: dict[str, Witness] = {}

    def witness(self, name: str, case: Case | None = None) -> WitnessPlace:
        """The place for the witness of that name, which is made where there is none yet."""
        folder = WitnessFolder(OsDisk(), self.root / name)
        if name not in self.witnesses:
            folder.create(f"w.example/{name}", [4])
            folder.add(self.key.to_text())
            self.witnesses[name] = open_witness(folder)
        http = WitnessHttp("http://w.example/prefix", lambda: Mounted(self.witnesses[name]))
        log = (case or self.case).root / "log"
        return WitnessPlace(name, self.cosigner(name), http, OsDisk(), log, [self.key])

    def cosigner(self, name: str) -> VerifierKey:
        return WitnessFolder(OsDisk(), self.root / name).signers()[0].verifier

    def folder(self, name: str) -> FolderPlace:
        (self.root / name).mkdir(exist_ok=True)
        return FolderPlace(OsDisk(), self.root / name, self.case.root / "log", [self.key])

    def places(self, *places: Place, policy: Policy | None = None, case: Case | None = None) -> Places:
        one = Places(places, OsDisk(), Layout((case or self.case).root), SystemClock(), policy)
        assert () == one.guard()
        return one

    def copy(self, name: str) -> Case:
        """A copy of the log as it is now."""
        shutil.copytree(self.case.root, self.root / name)
        return Case(OsDisk(), self.root / name, seed=7)

    def note(self, path: str = "log/checkpoint") -> bytes:
        return (self.case.root / path).read_bytes()

    def cosigners(self, path: str = "log/checkpoint") -> set[str]:
        """Who cosigned, each verified."""
        keys = [self.key, *(self.cosigner(name) for name in self.witnesses)]
        return {line.name.removeprefix("w.example/") for line in open_note(self.note(path), keys).verified} - {ORIGIN}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PLACE_RETRY_S", 0.01)
    monkeypatch.setattr(rounds, "PLACE_RETRY_S_MAX", 0.02)


def grow(ledger: Ledger, case: Case) -> Checkpoint:
    """One more session, published."""
    case.session(ledger, case.stream())
    return ledger.publish_now()


def test_what_is_published_reaches_every_place_and_comes_back_cosigned(site: Site) -> None:
    places = site.places(site.folder("usb"), site.witness("w1"), site.witness("w2"))
    ledger = site.case.recover()
    places.start(ledger)
    size = grow(ledger, site.case).size
    places.close()
    assert {"w1", "w2"} == site.cosigners() == site.cosigners("checkpoints/cosigned")
    assert [size] * 3 == [place.size for place in places.report().places]
    assert all(place.at and not place.problem and not place.unguarded for place in places.report().places)
    assert size == places.report().cosigned
    kept = (site.root / "usb" / "checkpoint").read_bytes()
    assert [kept] == [path.read_bytes() for path in (site.root / "usb").glob("checkpoint-*")]
    assert site.note().startswith(kept), "a folder gets the log's own lines"


def test_the_last_push_comes_before_the_log_is_let_go(site: Site) -> None:
    places = site.places(site.witness("w1"))
    ledger = site.case.recover()
    places.start(ledger)
    ledger.close("done", places.close)
    assert {"w1"} == site.cosigners()
    again = site.case.recover()
    assert again.published.size == places.report().cosigned


def test_a_new_checkpoint_is_published_with_the_logs_line_alone_until_it_is_cosigned(site: Site) -> None:
    places = site.places(site.witness("w1"))
    ledger = site.case.recover()
    places.start(ledger)
    first = grow(ledger, site.case)
    places.close()
    assert {"w1"} == site.cosigners()
    second = grow(ledger, site.case)
    assert set() == site.cosigners()
    assert f"\n{second.size}\n".encode() in site.note()
    assert f"\n{first.size}\n".encode() in site.note("checkpoints/cosigned")
    ledger.cosigned(first, [SignatureLine("late", b"abcd", b"too late")])
    assert b"late" not in site.note(), "what comes for an older one is not added to the newest"


def policy(site: Site, text: str) -> Policy:
    lines = [f"witness {name} {site.cosigner(name).to_text()}" for name in sorted(site.witnesses)]
    return Policy.parse("\n".join([*lines, text, ""]).encode())


def test_two_of_three_suffice_where_the_policy_says_so(site: Site) -> None:
    members = [site.witness(name) for name in ("w1", "w2", "w3")]
    rule = policy(site, "group g 2 w1 w2 w3\nquorum g")
    places = site.places(*members, policy=rule)
    site.witnesses["w3"].failure = Unavailable("disk.sync", "simulated")
    ledger = site.case.recover()
    places.start(ledger)
    size = grow(ledger, site.case).size
    places.close()
    assert {"w1", "w2"} == site.cosigners("checkpoints/cosigned")
    assert size == places.report().cosigned
    assert "answers with the status 503" in places.report().places[2].problem


def test_one_of_two_does_not_suffice_where_the_policy_wants_both(site: Site) -> None:
    members = [site.witness(name) for name in ("w1", "w2")]
    places = site.places(*members, policy=policy(site, "group g all w1 w2\nquorum g"))
    site.witnesses["w2"].failure = Unavailable("disk.sync", "simulated")
    ledger = site.case.recover()
    places.start(ledger)
    grow(ledger, site.case)
    places.close()
    assert {"w1"} == site.cosigners()
    assert None is places.report().cosigned
    assert not (site.case.root / "checkpoints/cosigned").exists()


class Stuck:
    """A place that takes what it is given, but only when it is let."""

    name, kind, evidence = "stuck", "folder", b""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.sizes: list[int] = []

    def look(self) -> Seen | None:
        return None

    def compare(self, now: Published) -> None:
        pass

    def push(self, now: Published, at: str) -> tuple[SignatureLine, ...]:
        self.let.wait(30)
        self.sizes.append(now.checkpoint.size)
        return ()


def test_a_place_that_hangs_holds_up_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PLACE_ROUND_S", 0.05)
    stuck = Stuck()
    places = site.places(stuck, site.witness("w1"))
    ledger = site.case.recover()
    places.start(ledger)
    sizes = []
    for _ in range(3):
        sizes.append(grow(ledger, site.case).size)
        for _ in range(600):
            if places.report().places[1].size == sizes[-1]:
                break
            ledger.wait_published(ledger.published.size, 0.05)
    assert sizes[-1] == places.report().places[1].size
    assert [] == stuck.sizes
    stuck.let.set()
    places.close()
    assert sizes[-1] == stuck.sizes[-1]


class Late(Stuck):
    """Answers at a start only when it is let; notes when it is asked a second thing before it answered the first."""

    name = "late"

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.at_once = 0, False

    def compare(self, now: Published) -> None:
        self._ask()

    def push(self, now: Published, at: str) -> tuple[SignatureLine, ...]:
        self._ask()
        self.sizes.append(now.checkpoint.size)
        return ()

    def _ask(self) -> None:
        self.asked += 1
        self.at_once = self.at_once or self.asked > 1
        self.let.wait(30)
        self.asked -= 1


def test_a_place_that_is_still_being_asked_is_not_pushed_to(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PLACE_GUARD_S", 0.05)
    monkeypatch.setattr(rounds, "PLACE_ROUND_S", 0.05)
    late = Late()
    places = Places([late, site.witness("w1")], OsDisk(), Layout(site.case.root), SystemClock())
    assert "late" in places.guard()
    ledger = site.case.recover()
    places.start(ledger)
    size = grow(ledger, site.case).size
    assert size == until(ledger, places, lambda report: report[1].size == size)[1].size
    assert (True, [], False) == (places.report().places[0].unguarded, late.sizes, late.at_once)
    late.let.set()
    assert not until(ledger, places, lambda report: not report[0].unguarded)[0].unguarded
    places.close()
    assert (size, False) == (late.sizes[-1], late.at_once)


def until(ledger: Ledger, places: Places, met: Callable[[tuple[PlaceStatus, ...]], bool]) -> tuple[PlaceStatus, ...]:
    """The report once it is as wanted, or at the end of half a minute."""
    for _ in range(600):
        if met(places.report().places):
            break
        ledger.wait_published(ledger.published.size, 0.05)
    return places.report().places


def test_appends_and_publication_go_on_while_no_place_answers_and_that_is_said_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One hangs, one refuses, one is not mounted: each append is durable, each checkpoint is published and signed."""
    monkeypatch.setattr(rounds, "PLACE_ROUND_S", 0.05)
    caplog.set_level("INFO", "affidavit.ledger.places")
    stuck, refusing, absent = Stuck(), site.witness("w1"), site.folder("usb")
    places = site.places(stuck, refusing, absent)
    site.witnesses["w1"].failure = Unavailable("disk.sync", "simulated")
    (site.root / "usb").rmdir()
    ledger = site.case.recover()
    places.start(ledger)
    sizes = [grow(ledger, site.case).size for _ in range(5)]
    assert sorted(set(sizes)) == sizes and sizes[-1] == ledger.published.size and None is ledger.failure
    assert f"\n{sizes[-1]}\n".encode() in site.note() and set() == site.cosigners()
    problems = until(ledger, places, lambda report: all(one.problem for one in report[1:]))
    assert ["", "status 503", "There is no folder"] == [
        next((word for word in ("status 503", "There is no folder") if word in one.problem), "") for one in problems
    ]
    assert not any(one.unguarded for one in problems), "that is said of a start alone"
    assert [] == stuck.sizes
    (site.root / "usb").mkdir()
    site.witnesses["w1"].failure = None
    stuck.let.set()
    until(ledger, places, lambda report: all(one.size == sizes[-1] for one in report))
    places.close()
    said = [record.getMessage() for record in caplog.records]
    assert [1, 1] == [sum(f"{name} does not take checkpoints" in line for line in said) for name in ("w1", "usb")], said
    assert [1, 1] == [sum(f"{name} takes checkpoints again" in line for line in said) for name in ("w1", "usb")], said
    assert [] == kinds(ledger, "log.gap"), "nothing was lost, and the log was never without an answer at a start"


class Withheld(Mounted):
    """A real witness whose answers are held back until they are let."""

    let = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.to_thread(self.let.wait, 30)
        return await super().handle_async_request(request)


def test_publication_goes_on_while_the_witnesss_answer_is_withheld(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PLACE_ROUND_S", 0.05)
    site.witness("w1")
    asked = Withheld(site.witnesses["w1"])
    http = WitnessHttp("http://w.example/prefix", lambda: asked)
    log = site.case.root / "log"
    Withheld.let.set()
    places = site.places(WitnessPlace("w1", site.cosigner("w1"), http, OsDisk(), log, [site.key]))
    Withheld.let.clear()
    ledger = site.case.recover()
    places.start(ledger)
    sizes = [grow(ledger, site.case).size for _ in range(5)]
    assert sorted(set(sizes)) == sizes
    assert f"\n{sizes[-1]}\n".encode() in site.note() and set() == site.cosigners()
    assert (None, "") == (places.report().places[0].size, places.report().places[0].problem), "it has not answered yet"
    Withheld.let.set()
    assert sizes[-1] == until(ledger, places, lambda report: report[0].size == sizes[-1])[0].size
    assert {"w1"} == site.cosigners()
    places.close()


def test_who_only_looks_is_told_that_a_place_is_behind_ahead_or_of_another_history(site: Site) -> None:
    old, copy = site.copy("old"), site.copy("copy")
    places = site.places(site.witness("w1"), site.folder("usb"))
    ledger = site.case.recover()
    places.start(ledger)
    grow(ledger, site.case)
    ledger.close("done", places.close)
    size = places.report().places[0].size
    assert size is not None

    def looking(case: Case) -> Places:
        return Places([site.witness("w1", case)], OsDisk(), Layout(case.root), SystemClock())

    well = looking(site.case).report().places[0]
    assert (size, "", True) == (well.size, well.problem, well.at is not None)
    ahead = looking(old).report().places[0]
    assert "holds a checkpoint of" in ahead.problem and "put back to an earlier time" in ahead.problem
    other = copy.recover()
    grow(other, copy)
    other.close("done")
    assert "this log does not continue" in looking(copy).report().places[0].problem
    alone = site.case.recover()
    grow(alone, site.case)
    alone.close("done")
    behind = looking(site.case).report().places[0]
    assert (size, True) == (behind.size, behind.problem.startswith("It is behind: this log has published"))


def kinds(ledger: Ledger, kind: str) -> list[dict[str, object]]:
    return [record.content for record in ledger.reader().records(0, ledger.size) if record.header.kind == kind]


def test_a_place_that_does_not_answer_leaves_the_log_unguarded_and_that_is_recorded(site: Site) -> None:
    absent = site.folder("usb")
    (site.root / "usb").rmdir()
    layout = Layout(site.case.root)
    places = Places([absent, site.witness("w1")], OsDisk(), layout, SystemClock())
    unguarded = places.guard()
    assert (str(site.root / "usb"),) == unguarded
    secrets, host = site.case.secrets, site.case.host
    assert secrets is not None
    ledger = Ledger.recover(site.case.root, OsDisk(), replace(host, unguarded=unguarded), secrets, ORIGIN)
    assert list(unguarded) == kinds(ledger, "log.open")[-1]["unguarded"]
    places.start(ledger)
    grow(ledger, site.case)
    report = places.report().places
    assert (True, False) == (report[0].unguarded, report[1].unguarded)
    (site.root / "usb").mkdir()
    for _ in range(600):
        if not places.report().places[0].unguarded:
            break
        ledger.wait_published(ledger.published.size, 0.05)
    places.close()
    ledger.step()
    (gap,) = kinds(ledger, "log.gap")
    assert ("unguarded", []) == (gap["cause"], gap["streams"])
    assert str(gap["start"]) <= str(gap["end"])
    assert str(site.root / "usb") in str(gap["detail"])


def test_a_copy_put_back_is_refused_before_it_is_opened(site: Site) -> None:
    old = site.copy("old")
    places = site.places(site.witness("w1"), site.folder("usb"))
    ledger = site.case.recover()
    places.start(ledger)
    grow(ledger, site.case)
    ledger.close("done", places.close)
    before = sorted((path, path.stat().st_mtime_ns) for path in (old.root / "journal").iterdir())
    for place in (site.witness("w1", old), FolderPlace(OsDisk(), site.root / "usb", old.root / "log", [site.key])):
        with pytest.raises(Corruption) as refused:
            site.places(place, case=old)
        assert "fork.behind" == refused.value.code
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (old.root / "journal").iterdir())
    evidence = (old.root / "checkpoints/contradiction").read_bytes()
    assert Checkpoint.parse(open_note(evidence, [site.key]).text).size > 4


def run(site: Site, case: Case, place: Place) -> tuple[Ledger, Places]:
    places = site.places(place, case=case)
    ledger = case.recover()
    places.start(ledger)
    return ledger, places


@pytest.mark.parametrize("kind", ["witness", "folder"])
def test_of_two_writers_on_copies_the_second_is_stopped(site: Site, kind: str) -> None:
    """Both start from one state, both may: only what they publish then tells them apart."""
    copy = site.copy("copy")
    if kind == "witness":
        first, second = site.witness("w1"), site.witness("w1", copy)
    else:
        first = site.folder("usb")
        second = FolderPlace(OsDisk(), site.root / "usb", copy.root / "log", [site.key])
    ledger, places = run(site, site.case, first)
    other, other_places = run(site, copy, second)
    grow(ledger, site.case)
    places.close()
    grow(other, copy)
    other_places.close()
    assert None is ledger.failure
    assert other.failure is not None and other.failure.code in ("fork.other", "fork.behind")
    assert "unavailable" == answer_code(other, copy)
    with pytest.raises(Unavailable):
        other.publish_now()
    if kind == "witness":
        kept = site.witness("w1").look()
        assert kept is not None and ledger.published == kept.checkpoint


def answer_code(ledger: Ledger, case: Case) -> str:
    answer = ledger.append(Batch(case.stream(), "b0" * 16, 0, (case.context(ledger.state_index),)))
    return "" if answer.refusal is None else answer.refusal.code


def test_what_fails_in_a_place_by_a_defect_is_a_problem_of_that_place(site: Site) -> None:
    class Broken(Stuck):
        name = "broken"

        def push(self, now: Published, at: str) -> Sequence[SignatureLine]:  # type: ignore[override]
            raise ZeroDivisionError

    places = site.places(Broken(), site.witness("w1"))
    ledger = site.case.recover()
    places.start(ledger)
    grow(ledger, site.case)
    places.close()
    broken, good = places.report().places
    assert "ZeroDivisionError" in broken.problem
    assert "" == good.problem
