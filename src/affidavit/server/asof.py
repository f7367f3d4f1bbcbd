"""Endpoints that answer about the state as of then, and how it became so. Each needs the right to read the log."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import InvalidInput
from affidavit.evidence.governing import governing
from affidavit.evidence.sentence import Names, named, sentence
from affidavit.evidence.statehistory import differences, versions_of
from affidavit.history.view import HIDDEN, hidden_of, list_key
from affidavit.limits import STATE_OBJECTS_MAX
from affidavit.record.read import Record
from affidavit.server.bodies import JsonResponse
from affidavit.server.positions import Place, place
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
from affidavit.state.hidden import held_by, kind_at
from affidavit.state.map import OWNED_KINDS, path_of
from affidavit.state.objects import parse_name
from affidavit.state.policy import LOG_SYSTEM
from affidavit.state.view import StateView

#: Kinds whose name has an identity in its first part; of settings in its second.
_OF_PEOPLE = frozenset({"identity", "profile", "grant", "membership", "reported"})


async def state(request: Request) -> Response:
    """GET /v1/state?at=&prefix=: the objects as of an index (just before that record), a time, or `now`.

    A time is UTC unless it ends with an offset or a zone's name. The answer: `at`, `state`, `root`, `objects`, `moment`
    (the position, the moment in UTC, and how a time was read), and `erased`: what changes put that were erased, by
    whom, of which kind.
    """
    services = reader_of(request)
    at, prefix = request.query_params.get("at", "now"), request.query_params.get("prefix", "")
    return JsonResponse(await run_in_threadpool(_state, services, at, prefix))


async def context(request: Request) -> Response:
    """GET /v1/state/context?at=&actor=&system=: what governed somebody on a system then.

    The answer: `identity`, `profile`, `groups` (with the chain, and the record of each membership), `grants` (with
    `state`: `live`, `not yet` or `over` at that moment), `policies` (with text), `schemas`, `settings` (each with its
    scope and the record it came from), `configured`, `declared`, `observed`, and `records`: what these rest on.
    """
    services = reader_of(request)
    asked = {name: request.query_params.get(name, "") for name in ("at", "actor", "system")}
    if not asked["actor"] or not asked["system"]:
        raise InvalidInput("state.whom", "A context is of somebody on a system.", "Give both actor and system.")
    return JsonResponse(
        await run_in_threadpool(_context, services, asked["at"] or "now", asked["actor"], asked["system"])
    )


async def history(request: Request) -> Response:
    """GET /v1/state/history?object=&all=: every version of an object, oldest first; its deletions and lapses.

    Each with `index`, `kind`, `change`, `at`, `bound_ns`, `who`, `reason`, `ticket`, `approvals` (each `proved`, or
    only claimed), `value` and `difference`; of one that was erased the `change` is `erased`, and `erased_by` says by
    which record. With `all=1`, of an identity: also its profile, memberships, grants, credentials, settings,
    and what applications reported; `erased`: changes that put some of these under names that are gone. The answer:
    `object`, `shown`, `versions`.
    """
    services = reader_of(request)
    name, whole = request.query_params.get("object", ""), request.query_params.get("all", "") == "1"
    return JsonResponse(await run_in_threadpool(_history, services, name, whole))


async def diff(request: Request) -> Response:
    """GET /v1/state/diff?a=&b=&prefix=: what differs between the state at `a` and the later one at `b` (default `now`).

    `objects`: each with `change` (`added`, `removed`, `changed`, `erased`: put, and not known any more, or `none`: put
    again, or there and back), `before`, `after`, `difference` and the `records` that did it; `records`: each of those
    in a sentence; `erased`: changes between the two whose bodies were erased, each with `by`.
    """
    services = reader_of(request)
    asked = request.query_params
    a, b, prefix = asked.get("a", ""), asked.get("b", "now"), asked.get("prefix", "")
    return JsonResponse(await run_in_threadpool(_diff, services, a, b, prefix))


def _state(services: Services, at: str, prefix: str) -> dict[str, Any]:
    where = place(services, at)
    then = services.history.at(where.index)
    names = then.names(_prefixed(then, prefix))
    if len(names) > STATE_OBJECTS_MAX:
        raise InvalidInput(
            "state.size", f"{len(names)} objects are more than one answer holds.", "Ask for a prefix such as grant/."
        )
    objects = []
    for name in names:
        version = then.get(name)
        if version is not None:
            shown = named(name, _names(services, then))
            objects.append({"name": name, "shown": shown, "version": version.version, "value": version.value})
    hidden = sorted({(one.version, one.by, kind_at(path) or "") for path, one in then.hidden.items()})
    erased = [{"version": version, "by": by, "kind": kind} for version, by, kind in hidden]
    return {**_heading(services, where, then), "objects": objects, "erased": erased}


def _context(services: Services, at: str, actor: str, system: str) -> dict[str, Any]:
    where = place(services, at)
    then = services.history.at(where.index)
    identity = actor if then.get(f"identity/{actor}") else then.identity_of_handle(actor)
    if identity is None:
        identity = services.live.resolve(actor)
    if system != LOG_SYSTEM and not then.get(f"system/{system}") and not services.live.system(system):
        raise InvalidInput(
            "state.system", f"No system {system[:80]!r} is or was declared.", "See `affidavit state at now system/`."
        )
    names = _names(services, then)
    found = governing(then, identity, system, where.at, names)
    records = [_told(services, index) for index in found.pop("versions")]
    return {**_heading(services, where, then), **found, "records": records}


def _history(services: Services, name: str, whole: bool) -> dict[str, Any]:
    full = full_name(services, name)
    parsed = parse_name(full)
    wanted = [full]
    erased: list[dict[str, Any]] = []
    if whole:
        if parsed.kind != "identity":
            raise InvalidInput("state.all", "Only of an identity there is more than itself.", "Give identity/HANDLE.")
        wanted += _about(services, parsed.parts[0])
        erased = _erased_of(services, parsed.parts[0], wanted)
    names = services.live.name_of
    found: list[dict[str, Any]] = []
    for one in wanted:
        rows = services.history.versions(one)
        for event in versions_of(one, rows, services.records, names, services.bounds):
            found.append({**event, "shown": named(one, names)})
    if not found:
        raise InvalidInput(
            "state.object", f"There never was an object {full[:80]!r}.", "See `affidavit state at now` for names."
        )
    found.sort(key=lambda event: (event["index"], event["object"]))
    return {"object": full, "shown": named(full, names), "versions": found, "erased": erased}


def _diff(services: Services, a: str, b: str, prefix: str) -> dict[str, Any]:
    first, last = place(services, a), place(services, b)
    if first.index > last.index:
        raise InvalidInput("state.order", f"{a[:40]} is later than {b[:40]}.", "Give the earlier one first.")
    before, after = services.history.at(first.index), services.history.at(last.index)

    def names(identity: str) -> str:
        return after.handle_of(identity) or before.handle_of(identity) or services.live.name_of(identity)

    def say(record: Record) -> str:
        return sentence(record, names, services.bounds(record.header))

    resolved = _prefixed(after, prefix)
    found = differences(services.records, before, after, resolved, names, say)
    heads = {"a": _heading(services, first, before), "b": _heading(services, last, after)}
    return {**heads, **found}


def _heading(services: Services, where: Place, then: StateView) -> dict[str, Any]:
    begins = services.records.header(0).log.at if where.index == 0 else None
    return {
        "at": where.index,
        "state": then.index,
        "root": services.history.root_at(then.index),
        "moment": where.view(),
        "begins": begins,
    }


def _told(services: Services, index: int) -> dict[str, Any]:
    record = services.records.record(index)
    said = sentence(record, services.live.name_of, services.bounds(record.header))
    return {"index": index, "sentence": said}


def _names(services: Services, then: StateView) -> Names:
    """Handles as they were then; of who had none, as they are now."""
    return lambda identity: then.handle_of(identity) or services.live.name_of(identity)


def _prefixed(then: StateView, prefix: str) -> str:
    """A prefix that may name a person by handle, `grant/ana/`, with the id that the handle had then."""
    parts = prefix.split("/")
    return "/".join([parts[0], *(then.identity_of_handle(part) or part for part in parts[1:])])


def full_name(services: Services, name: str) -> str:
    """An object's name, where a person may be named by a handle that they have or had."""
    kind, *rest = name.split("/")
    at = 1 if kind == "settings" and rest[:1] == ["user"] else 0
    if (kind in _OF_PEOPLE or at) and len(rest) > at:
        rest[at] = services.live.identity_by_handle(rest[at]) or _once(services, rest[at])
    return "/".join([kind, *rest])


def _once(services: Services, handle: str) -> str:
    """The identity that had a handle which nobody has now; the text itself where there was none.

    Raises `InvalidInput` where several had it.
    """
    found = sorted({row.item for row in services.history.spans(list_key(f"handle/{handle}"))})
    if len(found) > 1:
        raise InvalidInput("state.whom", f"Several had the handle {handle[:80]!r}.", f"Give one: {', '.join(found)}.")
    return found[0] if found else handle


def _erased_of(services: Services, identity: str, known: list[str]) -> list[dict[str, Any]]:
    """Changes that put grants, memberships or reports of an identity under names that nobody knows any more."""
    named_paths = {int.from_bytes(path_of(name), "big") for name in known}
    pairs: set[tuple[int, int]] = set()
    for row in services.history.spans(HIDDEN):
        if int(row.item, 16) not in named_paths:
            found = held_by({int(row.item, 16): hidden_of(row)}, OWNED_KINDS, (identity,))
            pairs.update((one.version, one.by) for one in found)
    return [{"version": version, "by": by} for version, by in sorted(pairs)]


def _about(services: Services, identity: str) -> list[str]:
    """Names of all objects that are or were about an identity."""
    found = {f"profile/{identity}", f"settings/user/{identity}"}
    for owner in (f"{kind}/{identity}" for kind in ("credential", "grant", "membership", "reported")):
        found.update(row.item for row in services.history.spans(list_key(owner)))
    return sorted(found)
