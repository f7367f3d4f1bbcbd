"""An index whose writer is killed at any moment answers as a scan does, and is brought up to the log by the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from searchlog import Paper, follow, index_of, question, scanned

from affidavit.search.answers import Answers
from affidavit.search.language import Query

STEP = 3
WRITER = """
import sys
from pathlib import Path
from searchlog import Paper, follow, index_of
paper = Paper(int(sys.argv[1]))
index = index_of(paper, Path(sys.argv[2]))
index.mend()
for _ in range(200):
    paper.grow(3)
    follow(index, paper)
    print(paper.size, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_costs_no_answer(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    folder = tmp_path / "search"
    command = [sys.executable, "-c", WRITER, str(seed), str(folder)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as writer:
        assert writer.stdout is not None
        for _ in range(random.randint(4, 9)):
            writer.stdout.readline()
        time.sleep(random.random() * 0.1)
        writer.kill()
    paper = Paper(seed)
    for _ in range(20):
        paper.grow(STEP)
    index = index_of(paper, folder)
    for mended in (False, True):
        for _ in range(10):
            node = question(random)
            page = Answers(paper, index, paper.bound_of).newest(Query("", node), paper.size, paper.size)
            assert scanned(paper, node) == [record.index for record, _ in page.found]
        if not mended:
            index.mend()
            follow(index, paper)
    assert index.held == paper.size
