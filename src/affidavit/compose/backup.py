"""Copies a log to another folder, while it runs or not."""

from __future__ import annotations

from pathlib import Path

from affidavit.clock import SystemClock
from affidavit.durable import OsDisk
from affidavit.errors import InvalidInput
from affidavit.ledger.backup import Backup, Copied, Progress, copy_all
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.reader import Reader
from affidavit.ledger.rotate import own_chain
from affidavit.record.moment import format_moment
from affidavit.tlog.rotation import KeyChain


def backup(root: Path, target: Path, progress: Progress | None, *, secrets: bool) -> Copied:
    """Bring the copy in `target` up to the log in `root`; `secrets`: with its keys. Raises what `Backup.run` raises."""
    disk, source = OsDisk(), Layout(root.absolute())
    if not disk.exists(source.secrets):
        raise InvalidInput("log.none", f"{root} holds no log with its secrets.", "Give the folder that `init` made.")
    if target.absolute().is_relative_to(source.root) or source.root.is_relative_to(target.absolute()):
        raise InvalidInput("backup.folder", "The copy cannot lie in the log's own folder.", "Name another one.")
    keys = Secrets.load_for_reading(disk, source.secrets)

    def chain() -> KeyChain:
        return own_chain(disk, source, keys.verifiers)

    def reader() -> Reader:
        return Reader.of_folder(source.root, disk, keys.body_keys_by_id, chain())

    now = format_moment(SystemClock().now_ns())
    run = Backup(disk, source, Layout(target.absolute()), chain, reader, now)
    return copy_all(run, progress or _unseen) if secrets else run.run(progress or _unseen)


def _unseen(what: str, done: int, count: int) -> None:
    """Nobody watches."""
    del what, done, count
