"""How publication goes, for who asks whether a log can be relied on."""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.errors import AffidavitError


@dataclass(frozen=True)
class Publication:
    """What is durable and what is published. Moments are texts as in headers, empty where nothing is wrong.

    `unsigned`: why nothing can be signed now, `unsigned_since` the first failure in a row. `kept_problem`: why the
    newest checkpoint could not be kept in `DIR/checkpoints`. `failure`: why the ledger stopped. `runs`: a writer asks.
    """

    size: int
    published: int
    runs: bool
    unsigned: AffidavitError | None = None
    unsigned_since: str = ""
    kept_problem: str = ""
    kept_since: str = ""
    failure: AffidavitError | None = None
