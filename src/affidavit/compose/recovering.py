"""What is possible with a log that `up` refuses, and doing it: going on, or a new log that names the old one.

A log goes on only from what leads to its newest signed root, and never from less than somebody else has seen signed.
Only one thing can be lost on the way: records after the last published one, which no checkpoint speaks of yet. Then a
`log.gap` says so. Whether something was signed after the newest checkpoint that is here, only a place outside can tell;
where none does, the operator must say it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affidavit.compose.create import Made, create
from affidavit.compose.examine import fsck
from affidavit.compose.site import Site
from affidavit.durable import PRIVATE, clear_temporary, write_whole
from affidavit.errors import Corruption, InvalidInput
from affidavit.history.live import Live
from affidavit.history.shared import SharedRecords
from affidavit.ledger.backup import forget_unfinished
from affidavit.ledger.fsck import Examination, Progress
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host, Own, loss_record
from affidavit.ledger.repair import Repair, obstacles
from affidavit.ledger.rotate import known_keys
from affidavit.ledger.signer import Purpose, signed_note
from affidavit.limits import SECRET_BYTES_MAX
from affidavit.record.body import SALT_BYTES, salt_text
from affidavit.record.moment import format_moment
from affidavit.search.stand import clear_index
from affidavit.server.identity import host_name
from affidavit.state.change import encode_ops
from affidavit.state.changing import restoration_ops, strongest
from affidavit.timekeeping.sources import clock_sources
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.restoration import restoration_text

RESTORE, DAMAGE = "restore", "damage"


@dataclass(frozen=True)
class Outside:
    """What a place outside holds: the size of its newest checkpoint, or why that is not known."""

    where: str
    size: int | None
    problem: str = ""


@dataclass(frozen=True)
class Situation:
    """What is there and what is possible. `pending` is what a backup or a recovery that stopped left as a note."""

    found: Examination
    outside: tuple[Outside, ...] = ()
    pending: Mapping[str, Any] = field(default_factory=dict)
    obstacles: tuple[str, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether anything stands in the way of a plain start."""
        return bool(self.found.faults or self.pending or self.ahead)

    @property
    def ahead(self) -> tuple[Outside, ...]:
        """Places that hold a checkpoint of more records than are here."""
        return tuple(one for one in self.outside if one.size is not None and one.size > self.found.size)

    @property
    def cause(self) -> str:
        """Why records may be lost that were accepted and not yet published: `restore`, `damage`, or empty."""
        if self.pending:
            return str(self.pending.get("cause", RESTORE))
        if self.found.journal_last < self.found.size or any(one.code == "log.rolled_back" for one in self.found.faults):
            return RESTORE
        return DAMAGE if self.found.journal_last > self.found.journal_end or self._broken_beyond else ""

    @property
    def _broken_beyond(self) -> bool:
        return any(one.expected >= self.found.size and not one.torn for one in self.found.breaks)

    @property
    def lost(self) -> dict[str, Any]:
        """What is known of the lost records: the index of the first, and how many can still be read behind it."""
        if self.pending.get("lost"):
            return dict(self.pending["lost"])
        first = max(self.found.size, self.found.journal_end)
        return {"first": first, "readable": max(0, self.found.journal_last - first)}

    @property
    def vouched(self) -> bool:
        """Whether a place outside holds the very checkpoint that is the newest here: nothing newer reached it."""
        return any(one.size == self.found.size for one in self.outside)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {
            "needed": self.needed,
            "can_go_on": not self.obstacles and not self.ahead,
            "obstacles": list(self.obstacles),
            "cause": self.cause,
            "lost": self.lost if self.cause else None,
            "outside": [{"where": one.where, "size": one.size, "problem": one.problem} for one in self.outside],
            "vouched": self.vouched,
            "pending": dict(self.pending),
            "examination": self.found.as_dict(),
        }


@dataclass(frozen=True)
class Done:
    """What was done: files written again, where the replaced ones lie (empty: none), the size after."""

    written: tuple[str, ...]
    set_aside: str
    size: int


def look(root: Path, progress: Progress | None = None) -> Situation:
    """Examine the log in `root` and everything that knows of it. Changes nothing."""
    site = Site(root)
    found = fsck(root, progress)
    outside = tuple(Outside(place.name, place.size, place.problem) for place in site.places.report().places)
    return Situation(found, outside, _pending(site), tuple(obstacles(found)))


def go_on(root: Path, situation: Situation, *, newest_copy: bool) -> Done:
    """Make the log whole and record what may be lost. `newest_copy`: the operator says that no newer copy exists.

    Raises `Corruption` where it cannot go on, `InvalidInput` where only the operator can know whether it may,
    `Unavailable` where a writer holds it. Nothing is changed then.
    """
    site = Site(root)
    if situation.ahead:
        one = situation.ahead[0]
        raise Corruption(
            "fork.behind",
            f"{one.where} holds a checkpoint of {one.size} records, here are {situation.found.size}: records "
            f"{situation.found.size} to {(one.size or 0) - 1} are missing, and were signed.",
            "Bring back the newest copy of the log, or begin a new one: affidavit recover --new DIR --origin NAME.",
        )
    if situation.obstacles:
        raise Corruption(
            "recover.blocked",
            " ".join(situation.obstacles),
            "Bring that back from a backup, or begin a new log: affidavit recover --new DIR --origin NAME.",
        )
    if situation.cause == RESTORE and not situation.vouched and not newest_copy:
        raise InvalidInput(
            "recover.unproven",
            f"Nothing here can tell whether this log signed more than its {situation.found.size} records, and if it "
            "did, going on would sign a second history.",
            "If you know that no newer copy exists and nothing newer was signed, say --newest-copy. Else begin a new "
            "log: affidavit recover --new DIR --origin NAME.",
        )
    if not situation.needed:
        return Done((), "", situation.found.size)
    repair = _repair(site, situation)
    ledger = _open(site)
    try:
        clear_index(site.disk, site.search)  # bodies may be there again that were erased here, or gone that were there
        if situation.cause:
            now_ns = site.clock.now_ns()
            start = str(situation.pending.get("start") or repair.last_at) or format_moment(now_ns)
            ledger.write_own([loss_record(situation.cause, start, now_ns, _detail(situation), situation.lost)])
        forget_unfinished(site.disk, site.layout)
        site.disk.unlink(site.layout.pending)
        site.disk.sync_folder(site.root)
    finally:
        ledger.close("The log was recovered.")
    return Done(tuple(repair.written), str(repair.folder) if repair.folder.exists() else "", ledger.size)


def restore_administrator(root: Path, handle: str, reason: str) -> int:
    """Make the identity with `handle` an administrator again, proved by this machine's user; the index of the change.

    It is outside of policy, signed by the log's key for this one place in the log, and every verdict names it. Raises
    `InvalidInput` where there is no such person, nothing is missing, or the user proves somebody else.
    """
    site = Site(root)
    site.check_pending()
    ledger = _open(site)
    try:
        live = Live.load(SharedRecords(ledger.reader()))
        administrator, state = live.resolve(handle), live.snapshot()
        uid, host = os.getuid(), host_name()
        ops = restoration_ops(
            state, administrator=administrator, host=host, uid=uid, salt=lambda: salt_text(os.urandom(SALT_BYTES))
        )
        if not ops:
            raise InvalidInput("recover.administrator", f"{handle} is an administrator already.", "Nothing was done.")
        index, after = ledger.size, state.preview(ops).root
        text = restoration_text(site.config.origin, index, after)
        signed = signed_note(site.keyring.signer, Purpose.RESTORATION, text)
        content = {
            "reason": reason,
            "objects": encode_ops(ops),
            "approvals": [],
            "via": {"method": "recovery", "credential": f"uid-{host}-{uid}", "file_access": True},
            "recovery": signed.decode(),
        }
        fields = {"actor": administrator, "action": strongest(ops), "decision": "allow", "decided": state.index}
        ledger.write_own([Own("change", content, {**fields, "root": after})])
    finally:
        ledger.close("Administration was given back.")
    return index


def begin_anew(root: Path, target: Path, origin: str, handle: str | None, situation: Situation) -> Made:
    """A new log in `target`, whose first record names this one's newest checkpoint. The old one is left as it is.

    Raises `InvalidInput` for the origin of the old log: a name stands for one history.
    """
    site = Site(root)
    signed = situation.found.signed
    if signed is None:
        raise InvalidInput(
            "recover.nothing_signed",
            f"No checkpoint in {root} was signed by its key, so a new log could name none.",
            "Bring one back (checkpoints, or a place outside), or make a log with `affidavit init`.",
        )
    if origin == signed.origin:
        raise InvalidInput(
            "recover.origin",
            f"{origin} is the name of the old log; witnesses and readers would take the new one for a forgery of it.",
            "Choose another name under your domain, such as the old one with the year behind it.",
        )
    previous = {
        "origin": signed.origin,
        "key": _key_of(site, situation.found.note).to_text(),
        "size": signed.size,
        "root": signed.root.hex(),
        "checkpoint": situation.found.note.decode(),
    }
    return create(target, origin, handle, "", previous=previous)


def _key_of(site: Site, note: bytes) -> VerifierKey:
    """The key, of all that the log has had, that signed `note`: after a rotation it may be the one before."""
    keys = known_keys(site.disk, site.layout, site.secrets.verifiers)
    verified = {line.key_id for line in open_note(note, keys).verified}
    return next(key for key in keys if key.key_id in verified)


def _repair(site: Site, situation: Situation) -> Repair:
    """The files, under the log's lock; from the first change until the end the note lies there that stops writers."""
    lock = site.disk.lock(site.layout.lock)
    try:
        moment = format_moment(site.clock.now_ns()).replace(":", "").replace("-", "")
        repair = Repair(site.disk, site.layout, site.secrets.body_keys_by_id, situation.found, moment)
        note = {**situation.pending, "what": "recovery", "cause": situation.cause, "lost": situation.lost}
        temporary = site.root / "unfinished" / "recover"
        clear_temporary(site.disk, temporary)
        write_whole(site.disk, temporary, [(site.layout.pending, json.dumps(note).encode())], PRIVATE)
        repair.run()
        return repair
    finally:
        lock.release()


def _open(site: Site) -> Ledger:
    """The log, open without threads, after the same checks as at every start."""
    unguarded = site.check_places()
    host = Host(site.clock, site.boot, os.urandom, clock_sources(os.urandom), unguarded)
    return Ledger.recover(site.root, site.disk, host, site.secrets, site.config.origin, keyring=site.keyring)


def _pending(site: Site) -> dict[str, Any]:
    data = site.disk.read(site.layout.pending, SECRET_BYTES_MAX)
    try:
        note = {} if data is None else json.loads(data)
    except (ValueError, RecursionError):
        note = {"cause": RESTORE}
    if not isinstance(note, dict):
        note = {"cause": RESTORE}
    return note


def _detail(situation: Situation) -> str:
    lost = situation.lost
    if situation.cause == DAMAGE:
        return (
            f"The journal was damaged at record {lost['first']}, after the last published one; {lost['readable']} "
            "records behind the damage could be read and were set aside."
        )
    return f"The log was brought back from a copy; records from {lost['first']} on may have been accepted and are lost."
