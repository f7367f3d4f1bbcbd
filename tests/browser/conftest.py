"""The log of `browserlog.py`, served by `affidavit up` as people run it.

AFFIDAVIT_SCREENSHOTS names a folder that keeps the pictures of the pages.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from browserlog import Told, tell
from talking import started


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("browser")
    records = tell(folder)
    root = folder / "data"
    with (root / "affidavit.toml").open("a") as config:
        config.write('[console]\nlisten = "127.0.0.1:0"\n')
    up = started(root)
    try:
        assert up.stdout is not None
        link = ""
        while not link:
            line = up.stdout.readline()
            assert line, "`affidavit up` ended before it printed a link"
            link = "".join(re.findall(r"http://\S+/login\?link=\S+", line))
        yield Told(root, link.partition("/login")[0], link, **records)
    finally:
        up.send_signal(signal.SIGTERM)
        rest, _ = up.communicate(timeout=60)
    assert (0, "Stopped in order.\n") == (up.returncode, rest)
