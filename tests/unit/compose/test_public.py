"""What a site shows to everybody: the files of `DIR/log`, and nothing else that lies in the data folder."""

from __future__ import annotations

from pathlib import Path

from recovercase import made

from affidavit.compose.public import Public
from affidavit.compose.site import Site
from affidavit.config import Address


def test_nothing_but_the_log_is_public(tmp_path: Path) -> None:
    root = made(tmp_path / "data", 20)
    public = Public(Site(root), Address("127.0.0.1", 0), "/")
    try:
        inside = {path.relative_to(root / "log").as_posix() for path in (root / "log").rglob("*") if path.is_file()}
        paths = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        below = {path.partition("/")[2] for path in paths if not path.startswith("log/")}
        asked = {*paths, *below, *inside, *(f"../{path}" for path in paths), *(f"..%2f{path}" for path in paths)}
        served = {path for path in asked if public._app.respond("GET", f"/{path}".encode(), {}).status_code == 200}
    finally:
        public._listening.close()
        public._app.close()
    assert "checkpoint" in inside
    assert {"secrets/log.key", "affidavit.toml"} < paths
    assert inside == served
