"""Making a log on a disk that stops and fails meanwhile: a whole log, or a refusal that says what to do, or none at all.

A folder in which making was interrupted is opened, as somebody would who does not know. What opens must be a whole log.
What does not must say why, and what to do; and once the folder is removed, as it says, making the log again works.
"""

from __future__ import annotations

import random
from collections import Counter

from ledgercase import GENESIS_RECORDS, ORIGIN, Case
from simdisk import Crash
from simtruth import demand

from affidavit.errors import AffidavitError, Unavailable
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.reader import Reader
from affidavit.tlog.rotation import KeyChain

#: What may be said of a folder in which making a log was interrupted.
_REFUSALS = {"secrets.missing", "secrets.mixed", "secrets.form", "log.none", "log.checkpoint", "journal.missing"}
_KINDS = ["log.open", "clock", "change", "log.close"]
_STEPS = 180  # a little more than making takes


def make_log(case: Case, layout: Layout, chance: random.Random, counts: Counter[str]) -> Secrets:
    """Try until there is a log."""
    while True:
        way = chance.choice(("crash", "kill", "fault"))
        soon = case.disk.steps + chance.randrange(1, _STEPS)
        if way == "fault":
            case.disk.fail_at = soon
        else:
            case.disk.crash_at = soon
        counts["makings"] += 1
        try:
            secrets = case.create()
        except (Crash, Unavailable) as error:
            demand(way == "fault" or isinstance(error, Crash), f"making a log failed, though nothing had: {error!r}")
            counts["makings interrupted"] += 1
        else:
            case.disk.kill()
            _demand_whole(case, layout, secrets)
            return secrets
        if way == "crash":
            case.disk.crash()
        else:
            case.disk.kill()
        found = _open_anyway(case, layout, counts)
        if found is not None:
            return found
        if not case.disk.names(layout.root) or chance.random() < 0.5:
            _remove(case, layout)
        else:
            try:
                case.create()
            except AffidavitError as error:
                demand(error.code == "log.exists" and error.hint, f"making a log again said {error.code}: {error}")
                _remove(case, layout)
            else:
                demand(False, "a log was made over what was left of another one")


def _open_anyway(case: Case, layout: Layout, counts: Counter[str]) -> Secrets | None:
    try:
        secrets = case.secrets = Secrets.load(case.disk, layout.secrets)
        case.recover()
    except AffidavitError as error:
        case.secrets = None
        demand(error.code in _REFUSALS and error.hint, f"half a log was refused with {error.code}: {error}")
        counts[f"refused {error.code}"] += 1
        case.disk.kill()
        return None
    case.disk.kill()
    counts["opened after an interruption"] += 1
    _demand_whole(case, layout, secrets)
    return secrets


def _demand_whole(case: Case, layout: Layout, secrets: Secrets) -> None:
    """It begins as a log does, and its checkpoint speaks of at least that."""
    chain = KeyChain.unbroken(secrets.verifiers)
    reader = Reader.of_folder(layout.root, case.disk, secrets.body_keys_by_id, chain)
    demand(reader.size >= GENESIS_RECORDS, f"a log of {reader.size} records opens")
    kinds = [reader.record(index).header.kind for index in range(GENESIS_RECORDS)]
    demand(kinds == _KINDS, f"a log begins with {kinds}")
    note = case.disk.copy(layout.checkpoint)
    demand(chain.open(note)[0].size >= GENESIS_RECORDS, "a log was made, and its first checkpoint does not speak of it")
    held = [path for path in case.disk.paths(layout.secrets) if case.disk.durable(path) is None]
    demand(not held, f"a log was made, and its secrets {held} are not durable")
    demand(ORIGIN == secrets.origin, "a log of another name was made")


def _remove(case: Case, layout: Layout) -> None:
    """What the refusal says: the folder goes, and nobody waits for a sync."""
    for path in case.disk.paths(layout.root):
        case.disk.replace(path, None)
    case.disk.remove_folders(layout.root)
    case.secrets = None
