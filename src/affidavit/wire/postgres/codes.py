"""The type bytes of protocol 3.0 messages, and which of them each side may send when.

Names are those of the PostgreSQL manual, chapter "Message Formats". Several letters mean one thing from the client
("frontend") and another from the server ("backend"): a code says nothing without its direction.
"""

from __future__ import annotations

from typing import Final

# Frontend
QUERY: Final = ord("Q")
PARSE: Final = ord("P")
BIND: Final = ord("B")
DESCRIBE: Final = ord("D")
EXECUTE: Final = ord("E")
CLOSE: Final = ord("C")
SYNC: Final = ord("S")
FLUSH: Final = ord("H")
TERMINATE: Final = ord("X")
FUNCTION_CALL: Final = ord("F")
PASSWORD: Final = ord("p")  # also SASLInitialResponse, SASLResponse and GSSResponse: the context decides
COPY_FAIL: Final = ord("f")

# Both
COPY_DATA: Final = ord("d")
COPY_DONE: Final = ord("c")

# Backend
AUTHENTICATION: Final = ord("R")
PARAMETER_STATUS: Final = ord("S")
BACKEND_KEY_DATA: Final = ord("K")
READY_FOR_QUERY: Final = ord("Z")
ROW_DESCRIPTION: Final = ord("T")
DATA_ROW: Final = ord("D")
COMMAND_COMPLETE: Final = ord("C")
EMPTY_QUERY_RESPONSE: Final = ord("I")
PORTAL_SUSPENDED: Final = ord("s")
PARSE_COMPLETE: Final = ord("1")
BIND_COMPLETE: Final = ord("2")
CLOSE_COMPLETE: Final = ord("3")
NO_DATA: Final = ord("n")
PARAMETER_DESCRIPTION: Final = ord("t")
NOTICE_RESPONSE: Final = ord("N")
ERROR_RESPONSE: Final = ord("E")
COPY_IN_RESPONSE: Final = ord("G")
COPY_OUT_RESPONSE: Final = ord("H")
COPY_BOTH_RESPONSE: Final = ord("W")
NOTIFICATION_RESPONSE: Final = ord("A")
NEGOTIATE_PROTOCOL_VERSION: Final = ord("v")
FUNCTION_CALL_RESPONSE: Final = ord("V")

#: What Describe and Close speak of.
STATEMENT: Final = ord("S")
PORTAL: Final = ord("P")

#: The states of ReadyForQuery.
IDLE: Final = ord("I")
IN_TRANSACTION: Final = ord("T")
FAILED_TRANSACTION: Final = ord("E")

#: Format codes of values.
TEXT: Final = 0
BINARY: Final = 1

#: A client that is logging in has nothing to say but its answers to authentication requests.
FRONTEND_LOGIN: Final = frozenset({PASSWORD})

FRONTEND_SESSION: Final = frozenset(
    {
        QUERY,
        PARSE,
        BIND,
        DESCRIBE,
        EXECUTE,
        CLOSE,
        SYNC,
        FLUSH,
        TERMINATE,
        FUNCTION_CALL,
        COPY_DATA,
        COPY_DONE,
        COPY_FAIL,
    }
)

BACKEND_LOGIN: Final = frozenset(
    {
        AUTHENTICATION,
        PARAMETER_STATUS,
        BACKEND_KEY_DATA,
        READY_FOR_QUERY,
        NOTICE_RESPONSE,
        ERROR_RESPONSE,
        NEGOTIATE_PROTOCOL_VERSION,
    }
)

BACKEND_SESSION: Final = frozenset(
    {
        PARAMETER_STATUS,
        READY_FOR_QUERY,
        ROW_DESCRIPTION,
        DATA_ROW,
        COMMAND_COMPLETE,
        EMPTY_QUERY_RESPONSE,
        PORTAL_SUSPENDED,
        PARSE_COMPLETE,
        BIND_COMPLETE,
        CLOSE_COMPLETE,
        NO_DATA,
        PARAMETER_DESCRIPTION,
        NOTICE_RESPONSE,
        ERROR_RESPONSE,
        COPY_IN_RESPONSE,
        COPY_OUT_RESPONSE,
        COPY_BOTH_RESPONSE,
        COPY_DATA,
        COPY_DONE,
        NOTIFICATION_RESPONSE,
        FUNCTION_CALL_RESPONSE,
    }
)

#: Messages that carry bulk: the only ones that a framer may hand on in pieces.
BULK: Final = frozenset({DATA_ROW, COPY_DATA})
