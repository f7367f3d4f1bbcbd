"""What the gateway and its watcher ask the upstream for themselves: told by their exact text, in the database's log."""

from __future__ import annotations

import functools
import re

from affidavit.capture.gateway.catalogue import catalogue_query
from affidavit.capture.watch.direct import activity_query
from affidavit.capture.watch.enforced import enforced_query

_PLACE = "KEYS"
_LITERALS = r"(?:'[^'\\]*'(?:, '[^'\\]*')*)?"
_SHORTEST = 16  # `ROLLBACK` and `BEGIN READ ONLY` are no questions of ours alone


def own_question(text: str) -> bool:
    """Whether a text of the database's log is a question of ours. All of them only read the catalogue.

    pgaudit gives single statements of a text: each is part of one of ours. Where the names of key columns stand, only
    literals may: nothing that does something comes with them.
    """
    asked = text.strip()
    catalogue, whole = _questions()
    if any(one.fullmatch(asked) for one in catalogue):
        return True
    return len(asked) > _SHORTEST and any(asked in question for question in whole)


@functools.cache
def _questions() -> tuple[tuple[re.Pattern[str], ...], tuple[str, str]]:
    whole = catalogue_query(_PLACE)
    texts = (whole, *(part.strip() for part in whole.split(";\n") if _PLACE in part))
    return tuple(re.compile(re.escape(one).replace(_PLACE, _LITERALS)) for one in texts), (
        enforced_query(),
        activity_query(),
    )
