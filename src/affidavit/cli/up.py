"""`affidavit up`: run the log, its API and the gateways until told to stop."""

from __future__ import annotations

import logging
import sys

from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import say
from affidavit.cli.watching import folding


def up(*, common: Common = DEFAULTS) -> int:
    """Run the log, the API on the local socket, and the gateways, until SIGTERM or Ctrl-C.

    Stopping closes sessions and the log in order. Where the log has to be folded anew to start (its snapshot cannot be
    used), standard error says how far that is.
    """
    from affidavit.compose.run import run  # noqa: PLC0415  heavy rooms only when needed

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The HTTP client and server of others report each request at this level; the records say more.
    for noisy in ("httpx", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return run(common.data, say, folding)
