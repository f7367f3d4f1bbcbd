"""`affidavit up` keeps the search index up to the log: what is appended is in it soon, and found as before."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from affidavit.cli.client import Client
from affidavit.cli.demo.site import COMMAND, Site

DEADLINE_S = 30


def test_what_is_appended_is_soon_in_the_index(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    site.run("init", str(site.folder), "--origin", "search.example/log", "--handle", "root")
    before = site.records("kind:change")
    server = subprocess.Popen(
        [*COMMAND, "up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "AFFIDAVIT_DATA": str(site.folder)},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert "runs" in server.stdout.readline()
        client = Client(site.folder / "affidavit.sock", None, server_runs=True)
        client.post("/v1/changes", {"objects": {"identity/ana": {"kind": "human"}}, "reason": "a quetzal came by"})
        until = time.monotonic() + DEADLINE_S
        while (status := client.get("/v1/status"))["search"]["records"] < status["size"]:
            assert time.monotonic() < until, status
            time.sleep(0.05)
        (found,) = client.get("/v1/records", query='"quetzal came"')["records"]
        assert "change" == found["header"]["kind"]
        assert len(before) + 1 == len(client.get("/v1/records", query="kind:change")["records"])
        client.close()
    finally:
        server.send_signal(signal.SIGTERM)
        assert 0 == server.wait(DEADLINE_S)
        if server.stdout is not None:
            server.stdout.close()
