"""Real servers and those who speak to them: bytes as they are, and `affidavit up` as a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path


async def talk(port: int, data: bytes) -> bytes:
    """All that the server on `port` says to `data`, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def started(root: Path) -> subprocess.Popen[str]:
    """`affidavit up` for the log in `root`, whose lines can be read from `stdout`. Who starts it ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "affidavit.cli.main", "up", "--data", str(root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
    )
