"""Errors of our own, for what is refused whoever asks."""

from __future__ import annotations

from affidavit.wire.postgres import notices

FUNCTION_CALL = notices.error(
    "ERROR",
    "0A000",
    "Function calls by the fast-path protocol are not supported by Affidavit.",
    hint="Call the function with SELECT.",
)
#: FETCH would run the statement of a portal without an Execute that says so.
FETCH_OF_PORTAL = notices.error(
    "ERROR",
    "0A000",
    "FETCH and MOVE of a portal that was bound in the protocol are not supported by Affidavit.",
    hint="Use Execute, or a cursor made by DECLARE.",
)
