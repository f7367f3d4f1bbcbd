"""Endpoints that change something: changes, approvals, grants, settings, tokens. Policy decides, in `capture`."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.capture.administration import Result, Wish
from affidavit.capture.declared import GROUP_PREFIX, resource_of
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.limits import GRANT_SECONDS_MAX, ID_CHARS_MAX
from affidavit.record.moment import NS, format_moment
from affidavit.server.bodies import JsonResponse, json_object, needed, path_index
from affidavit.server.identity import actor_of, check_may_read
from affidavit.server.services import Services
from affidavit.server.views import difference_view, result_view
from affidavit.state.settings import resolve

_GRANT_ID_BYTES = 5
_RECEIPT: dict[str, type | tuple[type, ...]] = {"receipt": bool}
_SCOPES = ("organisation", "floor")


async def change(request: Request) -> Response:
    """POST /v1/changes: apply declared objects, or with `dry_run` show the difference.

    Members: `objects` (mapping from object name to value, null to delete), `reason`, `ticket`?, `claimed`? (names typed
    as approvers), `seen`? (mapping from object name to the version that was seen), `folder`? (the name of the folder of
    files that declares them), `prune`? (delete what that folder put last and does not declare any more; without
    `dry_run` only what `seen` names), `propose`? (wait for somebody else's approval in any case), `dry_run`?,
    `receipt`?. The answer:
    `kind` (`change`, `proposal`, `nothing`), `index` of its record, `change` (the record that applied, null while it
    waits), `state`, `differences` (list of `{name, shown, based, before, after}`). A dry run answers `state` and
    `differences` and takes the right to read. With `receipt`: true the answer has `receipt`, the text of a receipt of
    the record at `index`, or null with `receipt_problem`; so everywhere that answers as a change does.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(
        request,
        {
            "objects": dict,
            "reason": str,
            "ticket": str,
            "dry_run": bool,
            "seen": dict,
            "claimed": list,
            "folder": str,
            "prune": bool,
            "propose": bool,
            **_RECEIPT,
        },
    )
    wish = _wish(asked, needed(asked, "objects"))
    if not asked.get("dry_run"):
        return JsonResponse(await _answer(services, asked, await services.administration.change(wish, actor)))
    check_may_read(actor, services)
    planned, state = services.administration.preview(wish)
    return JsonResponse({"state": state, "differences": [difference_view(item) for item in planned.differences]})


async def approve(request: Request) -> Response:
    """POST /v1/proposals/{index}/approvals: approve a proposal by one's own login.

    Members: `reason`, `receipt`?. The answer: `kind` (`approval`), `index` of the approval, `change` (the record that
    applied, null where it waits for another approval), `state`.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"reason": str, **_RECEIPT})
    result = await services.administration.approve(path_index(request), actor, needed(asked, "reason"))
    return JsonResponse(await _answer(services, asked, result))


async def review(request: Request) -> Response:
    """POST /v1/records/{index}/reviews: record that the actor has looked at a record. It takes the right to read.

    Members: `note`. The answer: `index` of the review, `reviewed`.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"note": str})
    check_may_read(actor, services)
    reviewed = path_index(request)
    index = await services.administration.review(reviewed, needed(asked, "note"), actor)
    return JsonResponse({"index": index, "reviewed": reviewed})


async def grant(request: Request) -> Response:
    """POST /v1/grants: a grant from now on, for a time.

    Members: `who` (handle or `group:NAME`), `actions` (list), `resource` (`SYSTEM` or `SYSTEM/schema.table`),
    `seconds`, `reason`, `ticket`?, `claimed`?, `break_glass`?, `receipt`?. The answer is that of a change.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    members: dict[str, type | tuple[type, ...]] = {
        "who": str,
        "actions": list,
        "resource": str,
        "seconds": int,
        "reason": str,
        "ticket": str,
        "claimed": list,
        "break_glass": bool,
        **_RECEIPT,
    }
    asked = await json_object(request, members)
    seconds = _seconds(asked, "grant.for", "A grant")
    now = services.clock.now_ns()
    value = {
        "actions": needed(asked, "actions"),
        "resource": resource_of(needed(asked, "resource")),
        "start": format_moment(now),
        "end": format_moment(now + seconds * NS),
        "reason": asked.get("reason", ""),
        "ticket": asked.get("ticket", ""),
        "break_glass": asked.get("break_glass", False),
    }
    name = f"grant/{needed(asked, 'who')}/g-{services.randomness(_GRANT_ID_BYTES).hex()}"
    result = await services.administration.change(_wish(asked, {name: value}), actor)
    return JsonResponse(await _answer(services, asked, result))


async def settings_show(request: Request) -> Response:
    """GET /v1/settings/{who}?system=: what is set there, and for a person what applies and from which scope."""
    services: Services = request.app.state.services
    check_may_read(actor_of(request, services), services)
    who, system = request.path_params["who"], request.query_params.get("system", "log")
    name, identity = _settings_name(who, services)
    state = services.live.snapshot()
    held = state.get(name)
    shown: dict[str, Any] = {
        "who": who,
        "name": name,
        "version": None if held is None else held.version,
        "values": [] if held is None else held.value["values"],
    }
    if identity is not None:
        effective, configured = resolve(state, identity, system)
        shown |= {"system": system, "configured": configured, "effective": [item.as_dict() for item in effective]}
    return JsonResponse(shown)


async def settings_set(request: Request) -> Response:
    """POST /v1/settings/{who}: set values in one scope; null takes one away. Others stay.

    `who` is a handle, `organisation`, `floor`, `system:ID` or `group:NAME`. Members: `values` (mapping), `reason`,
    `ticket`?, `receipt`?. The answer is that of a change.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"values": dict, "reason": str, "ticket": str, **_RECEIPT})
    name, identity = _settings_name(request.path_params["who"], services)
    held = services.live.snapshot().get(name)
    values = {} if held is None else {item["name"]: item["value"] for item in held.value["values"]}
    values |= needed(asked, "values")
    kept = [{"name": key, "value": value} for key, value in sorted(values.items()) if value is not None]
    asked["seen"] = {name: None if held is None else held.version}
    # Settings without a value would make somebody *configured*, and so take them off the fullest level.
    wish = _wish(asked, {name: {"values": kept} if kept or identity is None else None})
    return JsonResponse(await _answer(services, asked, await services.administration.change(wish, actor)))


async def token_create(request: Request) -> Response:
    """POST /v1/tokens: a new token, shown this once.

    Members: `who`, `label`?, `seconds`? (after which it ends), `reason`?, `receipt`?. The answer is that of a change,
    with `token` and `thumbprint`.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"who": str, "label": str, "seconds": int, "reason": str, **_RECEIPT})
    end = None
    if "seconds" in asked:
        end = format_moment(services.clock.now_ns() + _seconds(asked, "token.for", "A token") * NS)
    who = needed(asked, "who")
    reason = asked.get("reason") or f"A personal token for {who}"
    made = await services.tokens.create(who, asked.get("label", ""), reason, actor, end)
    answer = await _answer(services, asked, made.result)
    return JsonResponse({**answer, "token": made.token, "thumbprint": made.thumbprint})


async def token_revoke(request: Request) -> Response:
    """DELETE /v1/tokens/{thumbprint}: revoke a token.

    Members: `reason`?, `receipt`?. The answer is that of a change.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"reason": str, **_RECEIPT})
    thumbprint = request.path_params["thumbprint"]
    reason = asked.get("reason") or f"The token {thumbprint} is revoked"
    return JsonResponse(await _answer(services, asked, await services.tokens.revoke(thumbprint, reason, actor)))


async def token_list(request: Request) -> Response:
    """GET /v1/tokens?who=: the tokens that exist, by thumbprint. One's own need no right to read the log."""
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    who = request.query_params.get("who")
    identity = None if who is None else services.live.resolve(who)
    if identity != actor.identity:
        check_may_read(actor, services)
    return JsonResponse({"tokens": services.tokens.listed(identity)})


async def _answer(services: Services, asked: dict[str, Any], result: Result) -> dict[str, Any]:
    """What a wish became, with a receipt of its record where that was asked for. The record stands in any case."""
    answer = result_view(result)
    if asked.get("receipt"):
        answer["receipt"] = None
        if result.index is None:
            answer["receipt_problem"] = "Nothing was recorded."
        else:
            try:
                answer["receipt"] = (await run_in_threadpool(services.receipt, result.index)).decode()
            except AffidavitError as error:
                answer["receipt_problem"] = error.message
    return answer


def _seconds(asked: dict[str, Any], code: str, what: str) -> int:
    seconds: int = needed(asked, "seconds")
    if not 0 < seconds <= GRANT_SECONDS_MAX or isinstance(seconds, bool):
        raise InvalidInput(code, f"{what} lasts from 1 to {GRANT_SECONDS_MAX} seconds.", "Write --for 2h.")
    return seconds


def _wish(asked: dict[str, Any], objects: dict[str, Any]) -> Wish:
    claimed = asked.get("claimed", [])
    if not all(isinstance(name, str) for name in claimed):
        raise InvalidInput("http.member", "The member 'claimed' must be a list of names.")
    folder = asked.get("folder", "")
    if len(folder) > ID_CHARS_MAX or not folder.isprintable():
        raise InvalidInput("http.member", f"The member 'folder' is a name of at most {ID_CHARS_MAX} characters.")
    return Wish(
        objects,
        asked.get("reason", ""),
        asked.get("ticket", ""),
        tuple(claimed),
        asked.get("seen"),
        folder,
        asked.get("prune", False),
        asked.get("propose", False),
    )


def _settings_name(who: str, services: Services) -> tuple[str, str | None]:
    """The object for `organisation`, `floor`, `system:ID`, `group:NAME` or a handle; the identity where it is one."""
    if who in _SCOPES:
        return f"settings/{who}", None
    for prefix, scope in ((GROUP_PREFIX, "group"), ("system:", "system")):
        if who.startswith(prefix):
            name = who.removeprefix(prefix)
            if services.live.snapshot().get(f"{scope}/{name}") is None:
                raise InvalidInput(
                    "settings.scope",
                    f"There is no {scope} {name!r}.",
                    f"See `affidavit state at now {scope}/` for all.",
                )
            return f"settings/{scope}/{name}", None
    identity = services.live.resolve(who)
    return f"settings/user/{identity}", identity
