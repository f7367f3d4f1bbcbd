"""Where a transaction begins and ends, seen from outside."""

from __future__ import annotations

import pytest

from affidavit.capture.gateway.transactions import Transaction, Transactions
from affidavit.wire.postgres import codes


class Followed:
    def __init__(self) -> None:
        self.ended: list[Transaction] = []
        self.transactions = Transactions(self.ended.append)
        self._index = 100

    def statement(self, control: str = "", tag: str = "SELECT 1", outcome: str = "ok") -> None:
        joined = self.transactions.join()
        self.transactions.answered(control, tag, outcome)
        self._index += 1
        self.transactions.sealed(joined, self._index)

    def ends(self) -> list[tuple[int, str, list[int]]]:
        return [(t.number, t.end, t.accesses) for t in self.ended]


@pytest.mark.parametrize(
    ("control", "tag", "end"), [("commit", "COMMIT", "committed"), ("rollback", "ROLLBACK", "rolled_back"),
                                ("commit", "ROLLBACK", "rolled_back"), ("prepare", "PREPARE TRANSACTION", "unknown")]
)  # fmt: skip
def test_an_explicit_transaction_ends_as_its_tag_says(control, tag, end) -> None:
    followed = Followed()
    followed.statement("begin", "BEGIN")
    followed.transactions.ready(codes.IN_TRANSACTION)
    followed.statement()
    followed.transactions.ready(codes.IN_TRANSACTION)
    followed.statement(control, tag)
    followed.transactions.ready(codes.IDLE)
    assert [(1, end, [101, 102, 103])] == followed.ends()


def test_a_single_statement_needs_no_record_of_its_own() -> None:
    followed = Followed()
    followed.statement()
    followed.transactions.ready(codes.IDLE)
    followed.statement()
    followed.transactions.ready(codes.IDLE)
    assert [] == followed.ends()


@pytest.mark.parametrize(("outcome", "end"), [("ok", "committed"), ("error", "rolled_back")])
def test_a_pipeline_of_two_is_one_implicit_transaction(outcome, end) -> None:
    followed = Followed()
    followed.statement()
    followed.statement(outcome=outcome)
    followed.transactions.ready(codes.IDLE)
    assert [(1, end, [101, 102])] == followed.ends()


def test_commit_that_fails_rolls_back() -> None:
    followed = Followed()
    followed.statement("begin", "BEGIN")
    followed.transactions.ready(codes.IN_TRANSACTION)
    followed.statement("commit", "", "error")
    followed.transactions.ready(codes.IDLE)
    assert [(1, "rolled_back", [101, 102])] == followed.ends()


def test_a_lost_session_rolled_back_unless_its_commit_was_on_the_way() -> None:
    for committing, end in ((False, "rolled_back"), (True, "unknown")):
        followed = Followed()
        followed.statement("begin", "BEGIN")
        followed.transactions.ready(codes.IN_TRANSACTION)
        followed.transactions.lost(in_flight=committing)
        assert [(1, end, [101])] == followed.ends()


def test_the_record_waits_for_those_of_its_statements() -> None:
    followed = Followed()
    followed.statement("begin", "BEGIN")
    waiting = followed.transactions.join()
    followed.transactions.answered("commit", "COMMIT", "ok")
    assert [] == followed.ends()
    followed.transactions.sealed(waiting, 200)
    assert [(1, "committed", [101, 200])] == followed.ends()


def test_commit_and_chain_begins_the_next() -> None:
    followed = Followed()
    followed.statement("begin", "BEGIN")
    followed.transactions.ready(codes.IN_TRANSACTION)
    followed.statement("commit", "COMMIT")
    followed.transactions.ready(codes.IN_TRANSACTION)
    followed.statement("rollback", "ROLLBACK")
    followed.transactions.ready(codes.IDLE)
    assert [(1, "committed", [101, 102]), (2, "rolled_back", [103])] == followed.ends()
