"""The index: what its files hold, what it is asked, and what becomes of a promise that it does not keep."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from searchlog import (
    KEY,
    PEOPLE,
    SCRATCH,
    START_NS,
    STATEMENTS,
    TABLES,
    VOLUME,
    Paper,
    files_of,
    follow,
    index_of,
    scanned,
)

from affidavit.durable import OsDisk
from affidavit.record.moment import NS
from affidavit.search import language as q
from affidavit.search.answers import Answers
from affidavit.search.blinding import Blinding
from affidavit.search.index import Index
from affidavit.search.language import Node, Query
from affidavit.search.plan import EVERY, NOTHING, During, Having
from affidavit.search.planning import plan_of

SIZE = 3 * VOLUME + 2


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        yield Path(name) / "search"


@pytest.fixture
def paper() -> Paper:
    paper = Paper(4)
    paper.grow(SIZE)
    return paper


@pytest.fixture
def index(paper: Paper, folder: Path) -> Index:
    index = index_of(paper, folder)
    index.mend()
    follow(index, paper)
    return index


def named(index: Index, node: Node) -> list[int]:
    plan, _ = plan_of(node, index.blinding)
    return [one.index for one in index.candidates(plan, 0, SIZE) if one.found]


def test_no_file_holds_a_value_of_a_record(index: Index, folder: Path, paper: Paper) -> None:
    held = b"".join(files_of(folder).values())
    values = [*PEOPLE, *TABLES, "clinic", "ward round", "analysts-read", "access"]
    values += [text for text in STATEMENTS if len(text) > 3] + [part for text in STATEMENTS for part in text.split()]
    values += [one.header.id for one in paper.records] + [one.header.time.at[:19] for one in paper.records]
    looked = {text for value in values for text in (value, value.casefold()) if len(text) > 4}
    assert [] == [text for text in sorted(looked) if text.encode() in held]
    assert len(held) > 1000


def test_of_what_was_erased_nothing_is_left(index: Index, folder: Path, paper: Paper) -> None:
    node = q.Words("has", ("tables",))
    at = next(at for at in named(index, node) if at < 2 * VOLUME)
    with index.forgetting(at):
        assert {} == files_of(folder / f"{at // VOLUME:06d}")
        paper.erase(at)
    assert at not in named(index, node)
    follow(index, paper)
    assert SIZE == index.held
    assert at not in named(index, node)
    assert at in named(index, q.Words("kind", (paper.header(at).kind,)))


def test_the_files_of_another_volume_are_not_taken_up(index: Index, folder: Path, paper: Paper) -> None:
    stands = [(folder / name / "stand").read_bytes() for name in ("000000", "000001")]
    (folder / "000000").rename(folder / "x")
    (folder / "000001").rename(folder / "000000")
    (folder / "x").rename(folder / "000001")
    for name, stand in zip(("000000", "000001"), stands, strict=True):
        (folder / name / "stand").write_bytes(stand)
    node = q.Words("kind", ("access",))
    found = Answers(paper, index_of(paper, folder), paper.bound_of).newest(Query("", node), SIZE, SIZE).found
    assert scanned(paper, node) == [record.index for record, _ in found]


def test_only_what_is_named_is_read(index: Index, paper: Paper) -> None:
    query = Query("", q.Words("id", (paper.header(3).id,)))
    paper.read = 0
    page = Answers(paper, index, paper.bound_of).newest(query, 50, SIZE)
    assert ([3], None, 1) == ([record.index for record, _ in page.found], page.next, paper.read)


def test_what_the_index_promised_and_the_log_does_not_hold_is_counted(index: Index, paper: Paper) -> None:
    node = q.Words("has", ("tables",))
    at = named(index, node)[0]
    paper.records[at] = replace(paper.records[at], body={})
    answers = Answers(paper, index, paper.bound_of)
    assert at not in [record.index for record, _ in answers.newest(Query("", node), SIZE, SIZE).found]
    assert 1 == answers.refused


def test_pages_go_on_where_the_one_before_ended(index: Index, paper: Paper) -> None:
    answers, query = Answers(paper, index, paper.bound_of), Query("", q.Words("kind", ("access",)), 2, SIZE - 1)
    whole = answers.newest(query, SIZE, SIZE)
    first = answers.newest(query, 4, SIZE)
    assert first.next is not None
    rest = answers.newest(query, SIZE, first.next)
    assert whole.found == first.found + rest.found
    assert (None, None) == (whole.next, rest.next)


def test_another_key_another_log_and_other_body_keys_take_nothing_up(index: Index, folder: Path, paper: Paper) -> None:
    assert SIZE == index.held
    for key, identity in ((KEY[::-1], "log.example"), (KEY, "log.example 2")):
        other = Index(folder, key, identity, paper, OsDisk(), VOLUME)
        assert [] == named(other, q.All(()))
    assert [] != named(index_of(paper, folder), q.All(()))


def test_an_index_that_other_code_made_is_not_taken_up(
    index: Index, folder: Path, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lack terms that this code asks for, and then records would be left out."""
    del index
    assert [] != named(index_of(paper, folder), q.All(()))
    monkeypatch.setattr("affidavit.search.index.MADE_BY", "other code")
    assert [] == named(index_of(paper, folder), q.All(()))


def test_an_erasure_waits_for_one_record_and_not_for_a_volume(folder: Path, paper: Paper) -> None:
    index, asked = index_of(paper, folder), 0
    index.mend()

    def erase() -> None:
        with index.forgetting(0):
            erased.set()

    erased, erasing = threading.Event(), threading.Thread(target=erase)

    def ending() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            erasing.start()
            while not index._forgetting:
                os.sched_yield()
        return False

    assert index.add_newest(paper.bound_of, ending)
    erasing.join(30)
    assert erased.is_set()
    assert 1 == asked, "more was written while it waited"
    follow(index, paper)
    assert SIZE == index.held


@pytest.mark.parametrize(
    ("node", "exact"),
    [
        (q.All(()), True),
        (q.Words("actor", ("u-ana",)), True),
        (q.Not(q.Words("actor", ("u-ana",))), True),
        (q.Not(q.Words("table", ("visits",))), True),
        (q.Prefix("table", "vi"), True),
        (q.Prefix("table", "vis"), False),
        (q.Range("rows", 1, 5), False),
        (q.Phrase("sel"), False),
        (q.All((q.Words("actor", ("u-ana",)), q.Phrase("select"))), False),
    ],
)
def test_what_the_index_tells_exactly(node: Node, exact: bool) -> None:
    assert exact is plan_of(node, Blinding(bytes(32)))[1]


def test_what_the_index_is_asked() -> None:
    blinding = Blinding(bytes(32))
    assert EVERY == plan_of(q.Phrase("xy"), blinding)[0]
    assert EVERY == plan_of(q.Not(q.Phrase("xyz")), blinding)[0]
    assert NOTHING == plan_of(q.Not(q.All(())), blinding)[0]
    assert During(START_NS // NS, None) == plan_of(q.Within(START_NS + 5, None), blinding)[0]
    bits = Having(tuple(blinding.bits("rows", count) for count in (3, 4)))
    assert bits == plan_of(q.Range("rows", 5, 9), blinding)[0]
