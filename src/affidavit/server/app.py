"""The application: routes, and errors as `{code, message, hint}`. Nothing raw crosses to the client."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from affidavit.errors import AffidavitError, Corruption, InvalidInput
from affidavit.server import (
    administering,
    asking,
    asof,
    erasing,
    finding,
    inviting,
    permitting,
    proving,
    reading,
    reporting,
    rotating,
    sharing,
    streaming,
    summing,
)
from affidavit.server.bodies import error_response
from affidavit.server.inviting import Invite
from affidavit.server.services import Services

_log = logging.getLogger(__name__)

ROUTES = (
    ("GET", "/v1/status", reading.status),
    ("POST", "/v1/changes", administering.change),
    ("POST", "/v1/proposals/{index}/approvals", administering.approve),
    ("POST", "/v1/grants", administering.grant),
    ("GET", "/v1/settings/{who}", administering.settings_show),
    ("POST", "/v1/settings/{who}", administering.settings_set),
    ("GET", "/v1/settings/{who}/share", sharing.share),
    ("PUT", "/v1/reports/{source}/{who}", reporting.report),
    ("GET", "/v1/tokens", administering.token_list),
    ("POST", "/v1/tokens", administering.token_create),
    ("DELETE", "/v1/tokens/{thumbprint}", administering.token_revoke),
    ("POST", "/v1/login", inviting.login),
    ("GET", "/v1/key", rotating.show),
    ("POST", "/v1/key/rotation", rotating.rotate),
    ("GET", "/v1/records", reading.records),
    ("GET", "/v1/summary", summing.summary),
    ("GET", "/v1/records/{index}", reading.record),
    ("GET", "/v1/records/{index}/explain", reading.explain),
    ("POST", "/v1/records/{index}/erasure", erasing.erase),
    ("POST", "/v1/records/{index}/reviews", administering.review),
    ("GET", "/v1/order", reading.order),
    ("GET", "/v1/sessions/{index}", reading.session),
    ("GET", "/v1/findings", finding.findings),
    ("GET", "/v1/state", asof.state),
    ("GET", "/v1/state/context", asof.context),
    ("GET", "/v1/state/history", asof.history),
    ("GET", "/v1/state/diff", asof.diff),
    ("GET", "/v1/state/permitted", permitting.permitted),
    ("GET", "/v1/state/share", sharing.standing),
    ("GET", "/v1/state/proof", proving.proof),
    ("GET", "/v1/who/could", asking.could),
    ("GET", "/v1/who/did", asking.did),
    ("POST", "/v1/what-if", asking.what_if),
    ("GET", "/v1/ready", reading.ready),
    ("GET", "/v1/export", streaming.export),
    ("GET", "/v1/follow", streaming.follow),
)


def make_app(services: Services, invite: Invite | None = None) -> Starlette:
    """The HTTP API over `services`. `invite` makes links into the console, where one is served."""
    app = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in ROUTES],
        exception_handlers={
            AffidavitError: _refused,
            HTTPException: _not_served,
            Exception: _failed,
        },
    )
    app.state.services, app.state.invite = services, invite
    return app


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, AffidavitError):
        return await _failed(_, error)
    return error_response(error)


async def _not_served(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    known = status == 404
    response = error_response(
        InvalidInput(
            "http.path" if known else "http.method",
            f"{request.method} {request.url.path} is not served here.",
            "See docs/reference/http.md.",
        )
    )
    response.status_code = status
    return response


async def _failed(_: Request, error: Exception) -> Response:
    # The operational log gets the trace; the client gets no part of it.
    _log.error("A request failed", exc_info=error)
    return error_response(Corruption("server.defect", "The server failed on this request.", "Its log says more."))
