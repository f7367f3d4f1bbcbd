"""Transactions as they are seen from outside: which statements they hold, and how they end.

A transaction begins with BEGIN, or without it with the first statement of a simple query or of an unsynced pipeline,
and ends with COMMIT or ROLLBACK, or with the ReadyForQuery that reports no transaction. A `transaction` record is
written for every explicit one and for implicit ones of two or more statements; for a single statement its own outcome
says all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from affidavit.wire.postgres import codes

COMMITTED, ROLLED_BACK, UNKNOWN = "committed", "rolled_back", "unknown"


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction. `pending` counts statements whose records are not sealed yet."""

    number: int
    explicit: bool = False
    statements: int = 0
    failed: bool = False
    pending: int = 0
    accesses: list[int] = field(default_factory=list)
    end: str = ""
    committing: bool = False
    undone: bool = False  # failed at its end, after its statements were answered as done


class Transactions:
    """Follows one session. `ended` is called once for each transaction that deserves a record, when it is complete."""

    def __init__(self, ended: Callable[[Transaction], None]) -> None:
        self._ended = ended
        self._number = 0
        self.current: Transaction | None = None

    def join(self) -> Transaction:
        """The transaction that a statement which has just been answered belongs to."""
        if self.current is None:
            self._number += 1
            self.current = Transaction(self._number)
        self.current.statements += 1
        self.current.pending += 1
        return self.current

    def answered(self, control: str, tag: str, outcome: str) -> None:
        """A statement of the current transaction was answered. `control`: what it does to transactions, "" nothing."""
        current = self.current
        if current is None:
            return
        if outcome == "error":
            current.failed = True
        elif control == "begin":
            current.explicit = True
        elif control in ("commit", "rollback"):
            # COMMIT of a failed transaction answers ROLLBACK: the tag tells what happened.
            self._end(COMMITTED if tag.startswith("COMMIT") else ROLLED_BACK)
        elif control == "prepare":
            self._end(UNKNOWN)

    def failed_at_end(self) -> None:
        """The server could not commit, although all statements were answered: their outcomes do not say all."""
        if self.current is not None:
            self.current.failed = self.current.undone = True

    def ready(self, status: int) -> None:
        """ReadyForQuery with this transaction status."""
        current = self.current
        if status == codes.IDLE:
            if current is not None:
                if current.explicit:
                    # Ended without a statement that we could read as its end, or by a COMMIT that failed.
                    self._end(ROLLED_BACK if current.failed else UNKNOWN)
                else:
                    self._end(ROLLED_BACK if current.failed else COMMITTED)
        elif current is None:
            self._number += 1
            self.current = Transaction(self._number, explicit=True)
        else:
            current.explicit = True

    def lost(self, in_flight: bool) -> None:
        """The session ended. What the server had not been asked to commit it rolls back."""
        if self.current is not None:
            self._end(UNKNOWN if in_flight or not self.current.explicit else ROLLED_BACK)

    def sealed(self, transaction: Transaction, index: int | None) -> None:
        """The record of one of its statements stands at `index` (None: it could not be written)."""
        transaction.pending -= 1
        if index is not None:
            transaction.accesses.append(index)
        self._report(transaction)

    def _end(self, end: str) -> None:
        current = self.current
        if current is not None:
            current.end = end
            self.current = None
            self._report(current)

    def _report(self, transaction: Transaction) -> None:
        deserving = transaction.explicit or transaction.undone or transaction.statements > 1
        if transaction.end and not transaction.pending and deserving:
            self._ended(transaction)
