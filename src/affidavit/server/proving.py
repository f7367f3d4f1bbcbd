"""The endpoint that proves state. It needs the right to read the log: a proof shows what it is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from affidavit.archive.log import LogFiles
from affidavit.errors import InvalidInput
from affidavit.evidence.sentence import named
from affidavit.evidence.stateproof import Proved, position_at, prove
from affidavit.history.asof import index_at_time
from affidavit.limits import STATE_PROOF_NOTE_BYTES_MAX
from affidavit.server.bodies import JsonResponse
from affidavit.server.positions import place
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
from affidavit.state.objects import GROUP_PREFIX
from affidavit.state.statement import NoGrant, NoMembership, ObjectWas, Position, Statement

#: The identity that has a handle at a statement's end; where nobody had it then, who has it now.
Identity = Callable[[str], str | None]
_ID = re.compile(r"\bu-[0-9a-f]{16}\b")
_ABOUT = ("object", "no_grant", "no_membership")
_OTHERS = ("system", "group", "at", "from", "to", "withheld", "checkpoint")


async def proof(request: Request) -> JsonResponse:
    """GET /v1/state/proof?object=&no_grant=&system=&no_membership=&group=&at=&from=&to=: the file of a proof of state.

    Of an object; or of no grant to somebody, on a system or (without it) on any; or of somebody not in a group. At a
    moment, or `from` (default: the beginning) one `to` (default: now) another: an index, a time or `now`. `withheld=1`
    leaves an object's value out; `checkpoint` is a signed one to prove it under, else the published one. The answer:
    `holds`; where it does, `file`, `verdict` as `affidavit verify` gives it, and `who`, the handles of the ids in it;
    else `contradiction` and `words`.
    """
    services = reader_of(request)
    asked = dict(request.query_params)
    unknown = sorted(set(asked) - {*_ABOUT, *_OTHERS})
    if unknown:
        raise InvalidInput("http.member", f"Unknown parameter {unknown[0]:.40}.", "See docs/reference/http.md.")
    if "at" in asked and ("from" in asked or "to" in asked):
        raise InvalidInput(
            "stateproof.moment", "`at` is one moment; `from` and `to` are two.", "Give one or the other."
        )
    if sum(name in asked for name in _ABOUT) != 1:
        raise InvalidInput(
            "stateproof.about", "A proof is of one thing.", f"Give one of {', '.join(_ABOUT)}, and what belongs to it."
        )
    return JsonResponse(await run_in_threadpool(_prove, services, asked))


def _prove(services: Services, asked: dict[str, str]) -> dict[str, Any]:
    note = asked["checkpoint"].encode() if "checkpoint" in asked else None
    if note is not None and len(note) > STATE_PROOF_NOTE_BYTES_MAX:
        raise InvalidInput("stateproof.checkpoint", "The given checkpoint is too long.", "Leave cosignatures out.")
    keys = services.keys()
    size = keys.open(LogFiles(services.public_log).checkpoint() if note is None else note)[0].size
    last = _position(services, asked.get("at", asked.get("to", "now")), size)
    first = last if "at" in asked else _position(services, asked.get("from", "0"), size, from_its_beginning=True)
    live, newest = services.live, services.live.snapshot()
    then = services.history.at(last.index)
    statement = _statement(
        asked, first, last, lambda name: then.identity_of_handle(name) or live.identity_by_handle(name)
    )
    made = prove(
        statement,
        services.records,
        services.public_log,
        keys,
        note,
        withheld=asked.get("withheld") == "1",
        newest=newest,
    )
    if isinstance(made, Proved):
        ids = sorted(set(_ID.findall(made.verdict.shown)))
        who = {one: then.handle_of(one) or live.name_of(one) for one in ids}
        return {"holds": True, "file": made.file.decode(), "verdict": made.verdict.as_dict(), "who": who}
    return {
        "holds": False,
        "contradiction": {"object": made.name, "since": made.since, "via": list(made.via)},
        "words": f"`{named(made.name, lambda identity: then.handle_of(identity) or identity)}` was there from position "
        f"{made.since} on" + (f", through {' in '.join(made.via)}." if made.via else "."),
    }


def _position(services: Services, at: str, size: int, *, from_its_beginning: bool = False) -> Position:
    """The position that a text means, under a checkpoint of `size` records: of a time its end, or its beginning."""
    if at == "now":
        return Position(size)
    where = place(services, at)
    if where.read is None:
        return Position(where.index)
    moment = where.read.first if from_its_beginning else where.read.last
    return position_at(index_at_time(services.records, moment), moment, size)


def _statement(asked: dict[str, str], first: Position, last: Position, identity: Identity) -> Statement:
    if "object" in asked:
        return ObjectWas(first=first, last=last, name=_object(asked["object"], identity), versions=())
    if "no_grant" in asked:
        principal = _principal(asked["no_grant"], identity)
        return NoGrant(first=first, last=last, principal=principal, system=asked.get("system"))
    if "group" not in asked:
        raise InvalidInput("stateproof.group", "Which group is meant was not said.", "Give --group.")
    principal = _principal(asked["no_membership"], identity)
    return NoMembership(first=first, last=last, principal=principal, group=asked["group"])


def _principal(name: str, identity: Identity) -> str:
    """An identity's id or `group:NAME`, of what people type."""
    found = name if _ID.fullmatch(name) or name.startswith(GROUP_PREFIX) else identity(name)
    if found is None:
        raise InvalidInput(
            "who.unknown",
            f"Nobody has or had the handle {name[:80]!r}.",
            "Give an identity's id (u-…) for one who went.",
        )
    return found


def _object(name: str, identity: Identity) -> str:
    """An object's name, where people may be named by handle."""
    kind, *rest = name.split("/")
    at = 1 if rest[:1] == ["user"] and kind == "settings" else 0
    if kind in ("identity", "profile", "grant", "membership", "reported", "settings") and len(rest) > at:
        rest[at] = identity(rest[at]) or rest[at]
    return "/".join([kind, *rest])
