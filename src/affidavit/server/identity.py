"""Who makes a request: proved by the kernel (the peer's uid) or by a personal token. Nobody else gets anything.

Reading the log is decided by policy like everything else: `read` on `Log::"log"`, or the right to administer it.
"""

from __future__ import annotations

import re
import socket

from starlette.requests import Request

from affidavit.capture.administration import Actor, check_not_ended
from affidavit.errors import Denied
from affidavit.server.peer import PEER_UID
from affidavit.server.services import Services
from affidavit.state import deciding

_LOG = "log"
_BEARER = "bearer "
_HOST_CHARS_MAX = 40  # so that uid-HOST-UID stays an object name


def host_name() -> str:
    """This machine's name as it stands in `credential/uid-HOST-UID`: lower case, letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:_HOST_CHARS_MAX].strip("-")
    return name or "localhost"


def actor_of(request: Request, services: Services) -> Actor:
    """The proved actor of `request`. Raises `Denied` saying what to do where nothing proves anybody."""
    authorization = request.headers.get("authorization", "")
    if authorization:
        if not authorization.lower().startswith(_BEARER):
            raise Denied("auth.scheme", "Only bearer tokens prove somebody here.", "Send Authorization: Bearer aff_….")
        return services.tokens.identify(authorization[len(_BEARER) :].strip())
    uid = getattr(request.state, PEER_UID, None)
    if uid is None:
        raise Denied("auth.absent", "Nothing proves who asks.", "Use the local socket, or a token.")
    actor = actor_of_uid(uid, services)
    if actor is None:
        name = f"uid-{services.host}-{uid}"
        raise Denied(
            "auth.unmapped",
            f"The user {uid} of this machine ({services.host}) is nobody in this log.",
            f"Let an administrator declare `credential/{name}: {{identity: HANDLE, type: uid}}`, or use a token "
            "(AFFIDAVIT_TOKEN or --token).",
        )
    return actor


def actor_of_uid(uid: int, services: Services) -> Actor | None:
    """Who the user `uid` of this machine is; None where nobody. Raises `Denied` where the credential has ended."""
    name = f"uid-{services.host}-{uid}"
    credential = services.live.credential(name)
    if credential is None:
        return None
    check_not_ended(name, credential, services.clock.now_ns())
    return Actor(credential["identity"], "uid", name, services.file_access)


def check_may_read(actor: Actor, services: Services) -> None:
    """Raise `Denied` unless policy lets `actor` read the log, or administer it."""
    view = services.live.context(actor.identity, _LOG)
    at = services.clock.now_ns()
    for action in ("read", "admin"):
        if view.decider.decide((deciding.Request(action, "Log", _LOG),), {}, at).allowed:
            return
    raise Denied(
        "read.denied",
        "Policy does not let you read this log.",
        'An administrator can permit it: permit (principal == …, action == Action::"read", resource == Log::"log").',
    )
