"""The history store's builder, killed while it builds: what lies there is a whole beginning, and answers are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from randomlog import KEY, assert_same, opened, play

from affidavit.history.asof import state_at
from affidavit.history.shelves import Shelves

SEED, STEPS = 11, 400
CHILD = """
import sys
from pathlib import Path
from affidavit.history import store
from affidavit.history.shelves import Shelves
from randomlog import opened, play
store.HISTORY_COMMIT_CHANGES = 3
sheet = play({seed}, {steps})
write = Shelves.write
def tell(self, *arguments):
    print(flush=True)
    write(self, *arguments)
Shelves.write = tell
history = opened(sheet, Path(sys.argv[1]))
history.at(sheet.size)
"""


@pytest.mark.parametrize("commits", [1, 2, 5, 20])
def test_a_builder_killed_in_between_leaves_a_whole_beginning(tmp_path: Path, commits: int) -> None:
    code = CHILD.format(seed=SEED, steps=STEPS)
    command = [sys.executable, "-c", code, str(tmp_path)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as child:
        assert child.stdout is not None
        for _ in range(commits):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
    sheet, random = play(SEED, STEPS), Random(commits)
    left = Shelves(tmp_path / "history" / "objects.sqlite", KEY, "log.example/paper")
    assert 0 <= left.index < sheet.size, "it had ended before it was killed"
    left.close()
    history = opened(sheet, tmp_path)
    for index in (sheet.size, *(random.randint(0, sheet.size) for _ in range(5))):
        assert_same(history.at(index), state_at(sheet, index))
    history.close()
