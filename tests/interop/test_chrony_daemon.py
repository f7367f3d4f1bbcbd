"""A real chronyd, which does not touch the clock (-x), on ports of the loopback: what it says is what is noted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from affidavit.clock import ClockStatus, SystemClock
from affidavit.timekeeping.chrony import Chrony

CHRONYD = shutil.which("chronyd") or ("/usr/sbin/chronyd" if Path("/usr/sbin/chronyd").exists() else None)
CHRONYC = shutil.which("chronyc")
pytestmark = pytest.mark.skipif(CHRONYD is None or CHRONYC is None, reason="chrony is not installed")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def chronyd(folder: Path, ntp: int, command: int, *lines: str) -> Iterator[Chrony]:
    """A daemon of the test's own in `folder`, and what asks it."""
    folder.mkdir(mode=0o700)
    config = (
        f"port {ntp}", f"cmdport {command}", "bindaddress 127.0.0.1", "bindcmdaddress 127.0.0.1",
        f"bindcmdaddress {folder / 'socket'}", f"pidfile {folder / 'pid'}", "allow 127.0.0.1", *lines,
    )  # fmt: skip
    (folder / "conf").write_text("\n".join(config) + "\n")
    options = ["-x", "-d", "-U", "-u", "root" if os.getuid() == 0 else str(os.getuid()), "-f", str(folder / "conf")]
    with (folder / "output").open("wb") as output:
        daemon = subprocess.Popen([str(CHRONYD), *options], stdout=output, stderr=output)
    try:
        yield Chrony(SystemClock().monotonic_ns, os.urandom, command)
    finally:
        daemon.terminate()
        daemon.wait(10)


def until(chrony: Chrony, folder: Path, synchronized: bool) -> ClockStatus:
    for _ in range(200):
        said = chrony.status()
        if said is not None and said.settings["stratum"] != 0 and said.synchronized == synchronized:
            return said
        time.sleep(0.1)
    pytest.fail(f"chronyd did not get there: {(folder / 'output').read_text()}")


def test_a_chronyd_is_believed_only_where_it_follows_another_clock(tmp_path: Path) -> None:
    ntp, commands = free_port(), (free_port(), free_port())
    with chronyd(tmp_path / "local", ntp, commands[0], "local stratum 8") as local:
        said = until(local, tmp_path / "local", synchronized=False)
        assert (True, None) == (said.settings["local"], said.bound_ns)  # its reference is itself
        source = f"server 127.0.0.1 port {ntp} iburst minpoll -4 maxpoll -4"
        with chronyd(tmp_path / "client", 0, commands[1], source) as client:
            said = until(client, tmp_path / "client", synchronized=True)
            assert ("7f000001", 9) == (said.settings["reference"], said.settings["stratum"])
            assert said.bound_ns is not None
            words = subprocess.run(
                [str(CHRONYC), "-c", "-h", "127.0.0.1", "-p", str(commands[1]), "tracking"],
                capture_output=True, text=True, check=True, timeout=10,
            ).stdout.split(",")  # fmt: skip
    distance_s = abs(float(words[4])) + float(words[11]) + float(words[10]) / 2
    assert abs(said.bound_ns / 1e9 - distance_s) < max(0.005, distance_s / 2)  # it was asked again in between
    assert abs(said.frequency_ppb / 1000 - float(words[7])) < 100
    assert client.status() is None  # it has ended
