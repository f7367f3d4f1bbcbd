"""The records that the ledger writes of itself: starts, stops, gaps and clocks. Bodies: docs/spec/record.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affidavit import __version__
from affidavit.clock import Clock, ClockStatus
from affidavit.ledger.keys import Secrets
from affidavit.ledger.standing import Standing
from affidavit.limits import GAP_STREAMS_MAX
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import format_moment
from affidavit.tlog.keys import VerifierKey


@dataclass(frozen=True)
class Host:
    """What a ledger is given of the machine it runs on. `boot` is 32 hex digits, `randomness(n)` gives n bytes.

    `unguarded` names the places that keep its checkpoints and could not be asked before it was opened.
    """

    clock: Clock
    boot: str
    randomness: Callable[[int], bytes]
    clock_status: Callable[[], ClockStatus]
    unguarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Own:
    """A record of the ledger itself: its kind, its body without the salt, and header fields beyond what all have."""

    kind: str
    content: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)

    def draft(self, now_ns: int, randomness: Callable[[int], bytes]) -> Draft:
        """The draft, made at `now_ns`."""
        return Draft(
            kind=self.kind,
            id=uuid7(now_ns, randomness(RANDOM_BYTES)),
            at=now_ns,
            body=encode_body(self.content, randomness(SALT_BYTES)),
            **self.fields,
        )


def open_record(keys: Sequence[VerifierKey], unguarded: Sequence[str] = ()) -> Own:
    """`log.open` of a start, under these keys of the log.

    `unguarded` names the places that could not say whether this log continues theirs.
    """
    said = {"unguarded": list(unguarded)} if unguarded else {}
    return Own("log.open", {"reason": "start", **_about(keys), **said})


def start_records(standing: Standing, host: Host, keys: Sequence[VerifierKey]) -> list[Own]:
    """What a start records: before `log.open`, what the last one left open."""
    now_ns = host.clock.now_ns()
    own: list[Own] = []
    if standing.last_kind != "log.close":
        since = "has run on" if standing.last_boot == host.boot else "was started anew"
        detail = f"The writer stopped without closing the log; the machine {since} since."
        own += gap_records(list(standing.streams), standing.last_at, now_ns, detail)
    elif standing.open_streams():
        detail = "The log was closed while sessions were open."
        own += gap_records(standing.open_streams(), standing.last_at, now_ns, detail)
    return [*own, open_record(keys, host.unguarded)]


def unguarded_record(place: str, opened_at: str, now_ns: int) -> Own:
    """`log.gap`: from `opened_at` until now nobody could ask `place` whether this log continues what it holds."""
    end = max(format_moment(now_ns), opened_at)
    detail = f"{place} did not answer at the start, and does now: this log continues what it holds."
    return Own("log.gap", {"cause": "unguarded", "start": opened_at, "end": end, "streams": [], "detail": detail})


def genesis_record(secrets: Secrets, administrator: str, now_ns: int, previous: Mapping[str, Any] | None = None) -> Own:
    """`log.open` of a new log; `previous` names the one that it goes on from."""
    content = {
        "reason": "genesis",
        **_about(secrets.verifiers),
        "administrator": administrator,
        "body_key": secrets.body_keys[-1].id.hex(),
        "created": format_moment(now_ns),
    }
    return Own("log.open", content if previous is None else {**content, "previous": dict(previous)})


def close_record(reason: str, streams: int) -> Own:
    """`log.close`: the writer stops in order, with this many streams that have something open."""
    return Own("log.close", {"reason": reason, "streams": streams})


def gap_records(streams: Sequence[str], start: str, now_ns: int, detail: str) -> list[Own]:
    """`log.gap` records that name all of `streams` as dead, as many as are needed; at least one.

    `start` is the `log.at` of the last record before the gap. Where the clock has gone back since, the end is the
    start: a gap has no negative length.
    """
    end = max(format_moment(now_ns), start)
    parts = [streams[at : at + GAP_STREAMS_MAX] for at in range(0, len(streams), GAP_STREAMS_MAX)] or [[]]
    return [
        Own("log.gap", {"cause": "crash", "start": start, "end": end, "streams": list(part), "detail": detail})
        for part in parts
    ]


def loss_record(cause: str, start: str, now_ns: int, detail: str, lost: Mapping[str, Any]) -> Own:
    """`log.gap` of a recovery: records after `start` may be lost, and `lost` says what is known of them."""
    end = max(format_moment(now_ns), start)
    content = {"cause": cause, "start": start, "end": end, "streams": [], "detail": detail, "lost": dict(lost)}
    return Own("log.gap", content)


def key_record(reason: str, note: bytes, content: Mapping[str, Any], fields: Mapping[str, Any]) -> Own:
    """`log.key`: the rotation that `note` says, with what else its body and header are to hold."""
    return Own("log.key", {"reason": reason, "note": note.decode(), **content}, fields)


def denied_rotation(reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> Own:
    """`log.key`: somebody asked for a rotation, and policy did not let them; the keys stay as they are."""
    return Own("log.key", {"reason": reason, **content}, {**fields, "outcome": "none"})


def _about(keys: Sequence[VerifierKey]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "origin": keys[0].name,
        "key": keys[0].to_text(),
        "software": {"name": "affidavit", "version": __version__},
    }
    if len(keys) > 1:
        about["post_quantum"] = keys[1].to_text()
    return about
