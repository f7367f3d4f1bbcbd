"""A log folded by two processes gives what one gives: the state, what is shown on the way, and the first thing wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from logmaker import with_fields
from randomlog import Sheet, assert_same, play

from affidavit.errors import Corruption
from affidavit.history import folding
from affidavit.history.asof import changes_before
from affidavit.history.roots import Roots
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.state.change import Op, decode_ops
from affidavit.state.fold import State
from affidavit.state.hidden import encode_hidden, hide


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Roots]]:
    """The processes that are started, for every log, however short it is; a few changes are handed over at once."""
    started: list[Roots] = []

    class Seen(Roots):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

    monkeypatch.setattr(folding, "ROOTS_APART_MIN", 0)
    monkeypatch.setattr(folding, "ROOTS_BATCH", 4)
    monkeypatch.setattr(folding, "ROOTS_BATCHES_AHEAD", 2)
    monkeypatch.setattr(folding, "Roots", Seen)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    yield started
    for roots in started:
        with pytest.raises(ProcessLookupError):
            os.kill(roots.pid, 0)


class Altered(Sheet):
    """A log in which some headers have another root, and some bodies are gone."""

    def __init__(self, sheet: Sheet, wrong: Sequence[int] = (), gone: Sequence[int] = ()) -> None:
        super().__init__(sheet.paper)
        self.wrong, self.gone = wrong, gone

    def header(self, index: int) -> Header:
        header = super().header(index)
        return with_fields(header, root="ab" * 32) if index in self.wrong else header

    def record(self, index: int) -> Record:
        record = super().record(index)
        return Record(index, b"", self.header(index), None if index in self.gone else record.body)


def folded(sheet: Sheet) -> tuple[State | str, list[int]]:
    """The state, or what is wrong; and the records that were shown."""
    shown: list[int] = []

    def found(record: Record, ops: Sequence[Op]) -> None:
        assert len(ops) == len(record.content["objects"])
        shown.append(record.index)

    try:
        return folding.fold(sheet, changes_before(sheet, sheet.size), found), shown
    except Corruption as error:
        return f"{error.code}: {error}", shown


def alone(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> tuple[State | str, list[int]]:
    with monkeypatch.context() as patch:
        patch.setattr(folding, "ROOTS_APART_MIN", 1 << 60)
        return folded(sheet)


def test_the_state_is_the_same(apart: list[Roots], monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = play(11, 60)
    state, shown = folded(sheet)
    expected, expected_shown = alone(sheet, monkeypatch)
    assert isinstance(state, State) and isinstance(expected, State)
    assert (expected.root, expected_shown) == (state.root, shown)
    assert_same(state, expected)
    assert 1 == len(apart)


def test_the_first_wrong_root_and_what_was_shown_before_it(apart: list[Roots], monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = play(12, 40)
    changes = changes_before(sheet, sheet.size)
    for wrong, gone in (([0], []), ([5, 9], []), ([-1], []), ([6], [7]), ([7], [6]), ([], [8]), ([3], [20])):
        bad = Altered(sheet, [changes[at] for at in wrong], [changes[at] for at in gone])
        said, shown = folded(bad)
        assert isinstance(said, str)
        assert alone(bad, monkeypatch) == (said, shown)
    assert 7 == len(apart)


def test_a_log_without_changes(apart: list[Roots]) -> None:
    sheet = play(13, 5)
    sheet.end = 0
    state, shown = folded(sheet)
    assert isinstance(state, State)
    assert ([], []) == (state.names(), shown)
    assert [] == apart


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_process_that_is_killed_is_done_without(
    apart: list[Roots], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, after: int
) -> None:
    sheet = play(14, 60)
    give = Roots.give

    def kill(self: Roots, steps: Sequence[object]) -> None:
        given.append(len(steps))
        if len(given) == after + 1:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait()
        give(self, steps)  # type: ignore[arg-type]

    given: list[int] = []
    monkeypatch.setattr(Roots, "give", kill)
    with caplog.at_level(logging.WARNING):
        state, shown = folded(sheet)
    expected, every = alone(sheet, monkeypatch)
    assert isinstance(state, State) and isinstance(expected, State)
    assert len(given) > after
    assert expected.root == state.root
    assert every == shown[-len(every) :]
    assert shown[: -len(every)] == every[: len(shown) - len(every)]
    assert "hashed in this process alone" in caplog.text


def test_where_none_can_be_started(
    apart: list[Roots], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    state, shown = folded(play(15, 20))
    assert isinstance(state, State) and shown
    assert "hashed in this process alone" in caplog.text
    assert [] == apart


def test_one_processor_folds_alone(apart: list[Roots], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    state, _ = folded(play(16, 20))
    assert isinstance(state, State)
    assert [] == apart


def test_the_stub_of_an_erased_change_leads_to_its_root_in_both(apart: list[Roots]) -> None:
    sheet = play(7, 40)
    changes = changes_before(sheet, sheet.size)
    gone = set(changes[3::5])

    class Stubs(Sheet):
        def record(self, index: int) -> Record:
            record = super().record(index)
            if index not in gone:
                return record
            left = encode_hidden(hide(decode_ops(record.content["objects"])))
            return Record(index, b"", record.header, Erased(self.size, left))

    shown: list[int] = []
    state = folding.fold(Stubs(sheet.paper), changes, lambda record, _: shown.append(record.index))
    assert (1, sheet.paper.state.root, list(changes)) == (len(apart), state.root, shown)
