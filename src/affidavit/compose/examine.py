"""Examines a data folder with its operator's keys, and removes what is left over in it."""

from __future__ import annotations

from pathlib import Path

from affidavit.durable import OsDisk
from affidavit.errors import InvalidInput
from affidavit.ledger.fsck import Examination, Progress, examine
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import known_keys
from affidavit.ledger.snapshot import snapshot_key


def fsck(root: Path, progress: Progress | None = None) -> Examination:
    """The log in `root`, examined. Raises `InvalidInput` where there is none, `Unavailable` where it is unreadable."""
    disk, layout = OsDisk(), Layout(root.absolute())
    if not disk.exists(layout.secrets):
        raise InvalidInput("log.none", f"{root} holds no log with its secrets.", "Give the folder that `init` made.")
    secrets = Secrets.load_for_reading(disk, layout.secrets)
    return examine(
        disk,
        layout,
        known_keys(disk, layout, secrets.verifiers),
        secrets.body_keys_by_id,
        secrets.origin,
        snapshot_key(secrets.digest_key),
        progress,
    )


def clean(root: Path, found: Examination) -> list[str]:
    """Remove what `found` calls rubbish in `root`; the paths that were removed.

    Raises `Unavailable` where a writer holds the log: what is unfinished may be its.
    """
    disk, layout = OsDisk(), Layout(root.absolute())
    lock = disk.lock(layout.lock)
    try:
        removed = []
        for stray in found.strays:
            if stray.rubbish:
                disk.unlink(layout.root / stray.where)
                removed.append(stray.where)
        for folder in sorted({(layout.root / where).parent for where in removed}):
            disk.sync_folder(folder)
            if not disk.names(folder) and folder.name.endswith(".p"):
                disk.unlink(folder)
                disk.sync_folder(folder.parent)
        return removed
    finally:
        lock.release()
