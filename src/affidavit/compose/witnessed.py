"""What the configured witnesses say of time, as far as their cosignatures lie beside the log."""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.config import Config
from affidavit.durable import Disk
from affidavit.errors import AffidavitError
from affidavit.ledger.layout import Layout
from affidavit.ledger.places import COSIGNED
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.timeproof.stamps import Stamp, cosigned_at
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.notes import open_note


def witness_stamps(config: Config, disk: Disk, layout: Layout, keys: Sequence[VerifierKey]) -> tuple[Stamp, ...]:
    """The stamps on the published checkpoint and on the newest that enough cosigned; `keys` are all the log had.

    A note that does not hold proves nothing here; `verify` says what is wrong with it.
    """
    trusted = [witness.key for witness in config.witnesses]
    found: list[Stamp] = []
    for path in (layout.checkpoint, layout.root / COSIGNED) if trusted else ():
        try:
            note = disk.read(path, NOTE_BYTES_MAX)
            if note is None:
                continue
            checkpoint = Checkpoint.parse(open_note(note, keys).text)
            lines = open_note(note, trusted).verified
        except AffidavitError:
            continue
        found += [Stamp(line.name, checkpoint.size, cosigned_at(line.time_s)) for line in lines if line.time_s]
    return tuple(found)
