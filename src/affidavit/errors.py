"""Every error that crosses a room, named by what its reader should do next.

Each carries a stable `code` (documented in docs/reference/errors.md), a message that says what happened and a
`hint` that says what to do. `exit_status` is what the command line returns: 1 does not hold, 2 wrong input,
3 could not be reached or read.
"""

from __future__ import annotations


class AffidavitError(Exception):
    """Base of all errors that Affidavit raises on purpose. Never raised itself."""

    exit_status = 1

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InvalidInput(AffidavitError):
    """The input is wrong; the caller mends it. Nothing was changed."""

    exit_status = 2


class Denied(AffidavitError):
    """Policy does not allow it; somebody else may. The refusal is recorded where a log could be reached."""


class VerificationError(AffidavitError):
    """Evidence does not hold. Report it, never retry."""


class Conflict(AffidavitError):
    """Decided on a state that has moved on. Reload and decide again. `state` is the newer state index."""

    def __init__(self, code: str, message: str, hint: str = "", state: int = 0) -> None:
        super().__init__(code, message, hint)
        self.state = state


class Unavailable(AffidavitError):
    """Something needed cannot be reached or written now. Retry later."""

    exit_status = 3


class Corruption(AffidavitError):
    """Stored bytes are not what was written. Stop, keep everything, look."""

    exit_status = 3
