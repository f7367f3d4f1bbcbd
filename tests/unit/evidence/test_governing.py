"""Whether a grant counted at a moment, as decisions have it: start ≤ moment < end."""

from __future__ import annotations

import pytest

from affidavit.evidence.governing import live_at

NINE, TEN, ELEVEN = (f"2026-11-22T{hour}:00:00.000000000Z" for hour in ("09", "10", "11"))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "live"),
        (TEN, None, "live"),
        (TEN, ELEVEN, "live"),
        (ELEVEN, None, "not yet"),
        (None, TEN, "over"),
        (NINE, TEN, "over"),
        (None, ELEVEN, "live"),
    ],
)
def test_a_grant_is_live_from_its_start_and_not_at_its_end(start: str | None, end: str | None, expected: str) -> None:
    assert live_at({"start": start, "end": end}, TEN) == expected
