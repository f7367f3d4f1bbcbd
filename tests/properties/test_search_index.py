"""Searches through the index equal a scan of the log: over random logs and questions, while the log grows, and whatever
happened to the index's files in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from searchlog import SCRATCH, VOLUME, Paper, files_of, follow, index_of, question, scanned

from affidavit.search.answers import Answers
from affidavit.search.index import Index
from affidavit.search.language import Node, Query

SEEDS = st.integers(0, 2**32)


def asked(paper: Paper, index: Index, node: Node, limit: int = 7) -> list[int]:
    """What pages of answers give, newest first."""
    answers, found, before = Answers(paper, index, paper.bound_of), [], paper.size
    while True:
        page = answers.newest(Query("", node), limit, before)
        found += [record.index for record, _ in page.found]
        if page.next is None:
            break
        before = page.next
    assert answers.refused == 0
    return found


def assert_same(paper: Paper, index: Index, random: Random, times: int = 6) -> None:
    for _ in range(times):
        node = question(random)
        assert scanned(paper, node) == asked(paper, index, node), node


@given(SEEDS, st.lists(st.integers(0, 3 * VOLUME), min_size=1, max_size=4), st.booleans())
@settings(max_examples=15, deadline=None)
def test_answers_equal_a_scan_while_the_log_grows(seed: int, steps: list[int], kept_open: bool) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        index = index_of(paper, Path(folder))
        index.mend()
        for step in steps:
            paper.grow(step)
            if random.random() < 0.8:
                follow(index, paper)
                assert index.held == paper.size
            paper.grow(random.randint(0, 3))
            assert_same(paper, index, random)
            if not kept_open:
                index = index_of(paper, Path(folder))
                index.mend()


@given(SEEDS, st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_answers_equal_a_scan_whatever_was_done_to_the_files(seed: int, size: int) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        folder, older = Path(name) / "search", Path(name) / "older"
        paper.grow(size)
        index = index_of(paper, folder)
        index.mend()
        follow(index, paper)
        folder.mkdir(exist_ok=True)  # nothing lies on disk of a log that fits into memory
        shutil.copytree(folder, older)
        paper.grow(random.randint(0, 2 * VOLUME))
        follow(index, paper)
        for _ in range(random.randint(1, 3)):
            alter(folder, older, random)
        reader = index_of(paper, folder)
        assert_same(paper, reader, random)  # a process that only reads, and mends nothing
        writer = index_of(paper, folder)
        writer.mend()
        assert_same(paper, writer, random, 3)
        follow(writer, paper)
        assert writer.held == paper.size
        assert_same(paper, writer, random)


def alter(folder: Path, older: Path, random: Random) -> None:
    """Change a file, cut, remove or add one, swap two, or put back what lay there earlier: a file, or a whole volume."""
    paths = list(files_of(folder))
    if not paths:
        return
    one, other = random.choice(paths), random.choice(paths)
    data = one.read_bytes()
    match random.randint(0, 7):
        case 0 if data:
            at = random.randrange(len(data))
            one.write_bytes(data[:at] + bytes([data[at] ^ 1 << random.randint(0, 7)]) + data[at + 1 :])
        case 1:
            one.write_bytes(data[: random.randint(0, len(data))])
        case 2:
            one.unlink()
        case 3:
            (one.parent / random.choice(("x", "meta.json.bak", "unfinished/0"))).write_bytes(b"x")
        case 4:
            one.write_bytes(other.read_bytes())
            other.write_bytes(data)
        case 5:
            was = older / one.relative_to(folder)
            if was.exists():
                one.write_bytes(was.read_bytes())
        case 6 if files_of(older):
            volumes = [path for path in sorted(older.iterdir()) if path.is_dir()]
            put = random.choice(volumes)
            shutil.rmtree(folder / put.name, ignore_errors=True)
            shutil.copytree(put, folder / random.choice(volumes).name, dirs_exist_ok=True)
        case _:
            shutil.rmtree(one.parent)


@given(SEEDS, st.integers(1, 60), st.lists(st.integers(0, 59), max_size=4))
@settings(max_examples=12, deadline=None)
def test_answers_equal_a_scan_after_erasures(seed: int, size: int, erased: list[int]) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        paper.grow(size)
        index = index_of(paper, Path(folder))
        index.mend()
        follow(index, paper)
        for at in (at for at in erased if at < size):
            with index.forgetting(at):
                assert files_of(Path(folder) / f"{at // VOLUME:06d}") == {}
                paper.erase(at)
            assert_same(paper, index, random, 2)
            if random.random() < 0.5:
                follow(index, paper)
        follow(index, paper)
        assert index.held == size
        assert_same(paper, index, random)


@given(SEEDS, st.integers(2, 60))
@settings(max_examples=12, deadline=None)
def test_an_index_of_another_history_is_built_again(seed: int, size: int) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        paper.grow(size)
        index = index_of(paper, Path(folder))
        index.mend()
        follow(index, paper)
        del paper.records[random.randrange(size) :]  # the log was put back, and went another way from there on
        paper.grow(random.randint(0, size))
        index = index_of(paper, Path(folder))
        assert_same(paper, index, random)
        index.mend()
        follow(index, paper)
        assert_same(paper, index, random)
