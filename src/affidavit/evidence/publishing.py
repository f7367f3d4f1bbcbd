"""What `ready` says of publication: whether what is durable is signed and public, and if not, since when and why."""

from __future__ import annotations

from affidavit.evidence.clocks import Found
from affidavit.evidence.wording import count_words
from affidavit.ledger.publication import Publication

_CHECK = "publication"


def publication(found: Publication) -> Found:
    """The worst of what stands in the way; that all is published, where nothing does."""
    behind = found.size - found.published
    waiting = f"{count_words(behind, 'record')} from {found.published:,} on {'is' if behind == 1 else 'are'} durable"
    if found.failure is not None:
        return _CHECK, False, f"The log has stopped: {found.failure.message}", "Run `affidavit up` again; it says more."
    if found.unsigned is not None:
        detail = f"Nothing is signed since {_moment(found.unsigned_since)}: {found.unsigned.message}"
        return _CHECK, False, f"{detail} {waiting} and not published.", found.unsigned.hint
    if found.kept_problem:
        detail = f"No checkpoint is kept in DIR/checkpoints since {_moment(found.kept_since)}"
        return _CHECK, False, f"{detail}: {found.kept_problem}", "See to that folder; the next publication tries again."
    if behind and not found.runs:
        return _CHECK, False, f"{waiting} and not published, and no server runs here.", "Run `affidavit up`."
    return _CHECK, True, "What is durable is signed and published, within a second.", ""


def _moment(at: str) -> str:
    return f"{at[:10]} {at[11:19]} UTC"
