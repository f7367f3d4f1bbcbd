"""Who could beside who did: rights that were used, rights that never were, and uses that are not possible any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from affidavit.state.supposing import DEPENDS, NO, YES

COULD_AND_DID: Final = "could and did"
COULD_NEVER_DID: Final = "could and never did"
MIGHT_AND_DID: Final = "could, depending on facts, and did"
MIGHT_NEVER_DID: Final = "could, depending on facts, and never did"
DID_NO_MORE: Final = "did and could no more"
WAS_DENIED: Final = "could not and was denied"
FINDINGS: Final = (DID_NO_MORE, COULD_NEVER_DID, MIGHT_NEVER_DID, COULD_AND_DID, MIGHT_AND_DID, WAS_DENIED)


def beside(could: Mapping[str, Any], did: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for everybody who could or did: `identity`, `handle`, `kind`, `could`, `allowed`, `denied`, `first`,
    `last`, `finding`; sorted by finding as in `FINDINGS`, then by handle.

    `could` is what `who_could` gives and `did` what `who_did` gives.
    """
    answers = {item["identity"]: item for item in could["people"]}
    touched = {item["identity"]: item for item in did}
    rows = []
    for identity in answers.keys() | touched.keys():
        answer = answers[identity]["answer"] if identity in answers else NO
        seen = touched.get(identity)
        allowed, denied = (0, 0) if seen is None else (seen["allowed"], seen["denied"])
        if answer == NO and not allowed and not denied:
            continue
        who = answers.get(identity) or seen or {}
        rows.append(
            {
                "identity": identity,
                "handle": who["handle"],
                "kind": who["kind"],
                "could": answer,
                "allowed": allowed,
                "denied": denied,
                "first": None if seen is None else seen["first"],
                "last": None if seen is None else seen["last"],
                "finding": _finding(answer, allowed),
            }
        )
    return sorted(rows, key=lambda row: (FINDINGS.index(row["finding"]), row["handle"]))


def _finding(answer: str, allowed: int) -> str:
    did = {YES: COULD_AND_DID, DEPENDS: MIGHT_AND_DID, NO: DID_NO_MORE}
    never = {YES: COULD_NEVER_DID, DEPENDS: MIGHT_NEVER_DID, NO: WAS_DENIED}
    return (did if allowed else never)[answer]
