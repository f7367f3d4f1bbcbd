"""As-of answers from the store equal a fold from nothing: at any index, over random histories, and whatever happened to
the store's file in between."""

from __future__ import annotations

import base64
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from randomlog import PEOPLE, assert_same, name_of, op_of, opened, play

from affidavit.errors import AffidavitError, InvalidInput
from affidavit.history.asof import state_at, state_index
from affidavit.record.kinds import STATE_KINDS
from affidavit.state.view import ChangingView


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store whose buckets fill within a short history, so that old rows move to chunks."""
    monkeypatch.setattr("affidavit.history.shelves.HISTORY_BUCKETS", 3)
    monkeypatch.setattr("affidavit.history.shelves.HISTORY_CLOSED_MAX", 3)
    monkeypatch.setattr("affidavit.history.shelves.HISTORY_CACHED_MAX", 4)
    monkeypatch.setattr("affidavit.history.store.HISTORY_COMMIT_CHANGES", 5)
    yield


SEEDS = st.integers(0, 2**32)


@pytest.mark.usefixtures("small")
@given(SEEDS, st.integers(0, 60), st.data())
@settings(max_examples=25, deadline=None)
def test_answers_equal_a_fold_from_nothing(seed: int, steps: int, data: st.DataObject) -> None:
    sheet = play(seed, steps)
    with tempfile.TemporaryDirectory() as folder:
        # It grows by pieces, is opened again in between, and is asked about old and new.
        ends = sorted(data.draw(st.lists(st.integers(0, len(sheet.paper.records)), max_size=3)))
        for end in [*ends, len(sheet.paper.records)]:
            sheet.end = end
            history = opened(sheet, Path(folder))
            for index in data.draw(st.lists(st.integers(0, end), max_size=4)):
                assert_same(history.at(index), state_at(sheet, index))
            assert_same(history.at(end), state_at(sheet, end))
            if data.draw(st.booleans()):
                history.forget()
            history.close()


@pytest.mark.usefixtures("small")
@given(SEEDS, st.integers(5, 40))
@settings(max_examples=30, deadline=None)
def test_a_preview_is_the_state_after_the_change_or_the_same_refusal(seed: int, steps: int) -> None:
    sheet, random = play(seed, steps), Random(seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        history = opened(sheet, Path(folder))
        then: ChangingView = history.at(sheet.size)
        folded = state_at(sheet, sheet.size)
        for _ in range(8):
            names = {name_of(random) for _ in range(random.choice((1, 2, 5)))}
            ops = [op_of(sheet.paper, random, name) for name in sorted(names)]
            try:
                expected = folded.preview(ops)
            except AffidavitError as error:
                with pytest.raises(type(error)) as raised:
                    then.preview(ops)
                assert (raised.value.code, raised.value.message) == (error.code, error.message)
            else:
                assert_same(then.preview(ops), expected)
        history.close()


@pytest.mark.usefixtures("small")
@given(SEEDS, st.integers(5, 40), st.integers(0, 2**32))
@example(0, 5, 195_948)  # SQLite's own words about the damage quote bytes that are no text
@settings(max_examples=30, deadline=None)
def test_a_file_altered_by_hand_changes_no_answer(seed: int, steps: int, how: int) -> None:
    sheet, random = play(seed, steps), Random(how)
    with tempfile.TemporaryDirectory() as folder:
        history = opened(sheet, Path(folder))
        history.at(sheet.size)
        running = random.random() < 0.5
        if not running:
            history.close()
        alter(Path(folder) / "history" / "objects.sqlite", random)
        if not running:
            history = opened(sheet, Path(folder))
        for index in (sheet.size, random.randint(0, sheet.size)):
            assert_same(history.at(index), state_at(sheet, index))
        history.close()


def alter(path: Path, random: Random) -> None:
    """Change, swap, take away or add a blob, or overwrite bytes of the file."""
    if random.random() < 0.3:
        data = bytearray(path.read_bytes())
        at = random.randrange(len(data))
        data[at : at + 64] = random.randbytes(min(64, len(data) - at))
        path.write_bytes(data[: random.choice((len(data), at))])
        return
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        ids = [row[0] for row in database.execute("SELECT id FROM blob")]
        one, other = random.choice(ids), random.choice(ids)
        match random.randint(0, 3):
            case 0:
                (data,) = database.execute("SELECT data FROM blob WHERE id = ?", (one,)).fetchone()
                at = random.randrange(len(data))
                changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                database.execute("UPDATE blob SET data = ? WHERE id = ?", (changed, one))
            case 1:
                database.execute("DELETE FROM blob WHERE id = ?", (one,))
            case 2:
                (data,) = database.execute("SELECT data FROM blob WHERE id = ?", (one,)).fetchone()
                database.execute("UPDATE blob SET data = ? WHERE id = ?", (data, other))
            case 3:
                database.execute("UPDATE blob SET data = 'text' WHERE id = ?", (one,))


def test_a_store_of_another_log_is_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = play(1, 30)
    history = opened(first, tmp_path)
    stand = history.at(first.size).index
    history.close()
    # Of the other log, too, a change ended there: only its root tells them apart.
    others = (play(seed, 30) for seed in count(2))
    second = next(one for one in others if one.size >= stand and one.header(stand - 1).kind in STATE_KINDS)
    assert first.header(stand - 1).root != second.header(stand - 1).root
    history = opened(second, tmp_path)
    assert_same(history.at(second.size), state_at(second, second.size))
    history.close()
    assert "does not belong to this log" in caplog.text


def test_a_store_that_is_ahead_of_the_log_is_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sheet = play(1, 30)
    history = opened(sheet, tmp_path)
    history.at(sheet.size)
    history.close()
    sheet.end = 10
    history = opened(sheet, tmp_path)
    assert_same(history.at(10), state_at(sheet, 10))
    assert "does not belong to this log" in caplog.text
    history.close()


def test_two_processes_on_one_store(tmp_path: Path) -> None:
    sheet = play(3, 40)
    sheet.end = 10
    one, other = opened(sheet, tmp_path), opened(sheet, tmp_path)
    for end in range(10, len(sheet.paper.records) + 1):
        sheet.end = end
        for history in (one, other) if end % 2 else (other, one):
            assert_same(history.at(end), state_at(sheet, end))
    one.close()
    other.close()


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    sheet = play(4, 20)
    (tmp_path / "history").write_text("a file where the folder would be")
    history = opened(sheet, tmp_path)
    assert_same(history.at(sheet.size), state_at(sheet, sheet.size))
    history.close()


def test_nothing_of_a_name_or_value_can_be_read_in_the_file(tmp_path: Path) -> None:
    sheet = play(5, 40)
    history = opened(sheet, tmp_path)
    history.at(sheet.size)
    history.close()
    data = (tmp_path / "history" / "objects.sqlite").read_bytes()
    for word in (b"policy", b"permit", b"membership", PEOPLE[0].encode(), base64.b64encode(b"policy")):
        assert word not in data
    assert (tmp_path / "history" / "objects.sqlite").stat().st_mode & 0o077 == 0


def test_positions_beyond_the_log_are_refused(tmp_path: Path) -> None:
    sheet = play(6, 5)
    history = opened(sheet, tmp_path)
    for index in (-1, sheet.size + 1):
        with pytest.raises(InvalidInput):
            history.at(index)
    history.close()


def test_it_is_built_while_the_live_state_is_loaded(tmp_path: Path) -> None:
    sheet = play(7, 40)
    history = opened(sheet, tmp_path)
    live = history.load()
    assert history.index == live.index == state_index(sheet, sheet.size)
    assert_same(history.at(sheet.size), live.snapshot())
    history.close()


def test_versions_of_an_object_are_all_there_the_oldest_first(tmp_path: Path) -> None:
    sheet = play(8, 60)
    history = opened(sheet, tmp_path)
    for name in ("group/a", f"identity/{PEOPLE[0]}", "policy/p"):
        expected = []
        for at, rec in enumerate(sheet.paper.records):
            objects = rec.content.get("objects", ()) if rec.plain is not None else ()
            expected += [(at, item["op"]) for item in objects if item["name"] == name]
        rows = history.versions(name)
        puts = [(row.start, "put") for row in rows]
        ended = [(row.stop, "delete") for row in rows if row.stop >= 0 and row.stop not in {r.start for r in rows}]
        assert sorted(puts + ended) == expected
    history.close()


def test_the_folder_may_be_deleted_while_it_is_in_use(tmp_path: Path) -> None:
    sheet = play(9, 60)
    sheet.end = 30
    history = opened(sheet, tmp_path)
    history.at(30)
    shutil.rmtree(tmp_path / "history")
    assert_same(history.at(30), state_at(sheet, 30))
    sheet.end = None
    assert_same(history.at(sheet.size), state_at(sheet, sheet.size))
    history.close()
    history = opened(sheet, tmp_path)
    assert_same(history.at(sheet.size), state_at(sheet, sheet.size))
    history.close()


def test_an_older_bucket_put_back_is_found(tmp_path: Path) -> None:
    sheet = play(10, 80)
    sheet.end = 40
    history = opened(sheet, tmp_path)
    history.at(40)
    with contextlib.closing(sqlite3.connect(tmp_path / "history" / "objects.sqlite")) as database:
        older = database.execute("SELECT data, id FROM blob WHERE id >= 0").fetchall()
    sheet.end = None
    history.at(sheet.size)
    history.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "history" / "objects.sqlite")) as database, database:
        database.executemany("UPDATE blob SET data = ? WHERE id = ?", older)
    history = opened(sheet, tmp_path)
    assert_same(history.at(sheet.size), state_at(sheet, sheet.size))
    history.close()
