"""Opening a log's folder for writing: the lock, recovery, the keys in force, and the journal ready to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import Disk, Lock, clear_temporary
from affidavit.errors import InvalidInput
from affidavit.ledger.builder import remove_left_partials, remove_unsigned
from affidavit.ledger.journal import Journal
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.own import Host
from affidavit.ledger.recovery import Opening, Progress, Recovered, recover
from affidavit.ledger.rotate import FileKeys, Keyring, resume_signer, waiting_note
from affidavit.ledger.snapshot import snapshot_key


@dataclass(frozen=True)
class Opened:
    """A folder that this process may write. `left_to_do` ends an interrupted rotation, once all is durable."""

    layout: Layout
    lock: Lock
    found: Recovered
    journal: Journal
    left_to_do: Callable[[], None]


def open_folder(
    root: Path,
    disk: Disk,
    host: Host,
    secrets: Secrets,
    origin: str,
    progress: Progress | None,
    keyring: Keyring | None,
) -> Opened:
    """The log in `root`, locked and recovered. Raises as `Ledger.open`; then it is not locked."""
    if secrets.origin != origin:
        raise InvalidInput(
            "secrets.origin",
            f"The keys are those of the log {secrets.origin!r}, not of {origin!r}.",
            "Use the secrets that were made with this log.",
        )
    layout = Layout(root)
    if not disk.exists(layout.journal):
        raise InvalidInput("log.none", f"{root} holds no log.", "Make one with `affidavit init`.")
    lock = disk.lock(layout.lock)
    try:
        keyring = keyring or FileKeys(disk, layout, secrets.signers, randomness=host.randomness)
        key = snapshot_key(secrets.digest_key)
        found = recover(Opening(disk, layout, keyring.signer, secrets.body_keys_by_id, key, progress))
        published = found.publisher.published
        note = waiting_note(published, found.base, found.recent, secrets.body_keys_by_id)
        found.publisher.signer, left_to_do = resume_signer(disk, layout, keyring, published, note)
        remove_left_partials(disk, layout, published.size)
        remove_unsigned(disk, layout, published.size, found.end.next)
        for temporary in (layout.publishing, layout.rotating, layout.snapshotting):
            clear_temporary(disk, temporary)
        journal = Journal.resume(disk, layout.journal, layout.rotating, origin, found.end)
    except BaseException:
        lock.release()
        raise
    return Opened(layout, lock, found, journal, left_to_do)
