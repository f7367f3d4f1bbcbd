"""`affidavit export [QUERY]`: records with every field, one JSON document a line."""

from __future__ import annotations

import sys

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Words, joined


def export(query: Words = (), /, *, common: Common = DEFAULTS) -> int:
    """Matching records, oldest first, as NDJSON: index, header, body, and whether the body is there.

    The query is that of `affidavit timeline`.
    """
    with connect(common) as client:
        for line in client.lines("/v1/export", query=joined(query)):
            sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return 0
