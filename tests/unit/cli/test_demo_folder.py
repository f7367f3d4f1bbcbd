"""What the demo does to a folder that is there already."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from affidavit.cli.demo.command import _MARKER, _empty
from affidavit.errors import InvalidInput, Unavailable


def test_an_earlier_demo_is_replaced_and_anything_else_left_alone(tmp_path: Path) -> None:
    root = _empty(tmp_path / "demo")
    (root / "old").touch()
    assert [path.name for path in _empty(root).iterdir()] == [_MARKER]
    (tmp_path / "mine").touch()
    with pytest.raises(InvalidInput, match="something else"):
        _empty(tmp_path)


def test_a_demo_that_runs_is_left_alone(tmp_path: Path) -> None:
    root = _empty(tmp_path / "demo")
    (root / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "data" / "affidavit.sock"))
        server.listen(1)
        with pytest.raises(Unavailable, match="still runs"):
            _empty(root)
    assert (root / "data").is_dir()
