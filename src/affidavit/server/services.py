"""What the API is given: one value with everything that a request may need, made by `compose`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from affidavit.archive.source import Source
from affidavit.capture.administration import Administration
from affidavit.capture.erasing import Erasing
from affidavit.capture.readings import Readings
from affidavit.capture.tokens import Tokens
from affidavit.capture.watch.status import WatchStatus
from affidavit.clock import Clock
from affidavit.evidence.explain import Explainer
from affidavit.evidence.export import Bounds
from affidavit.evidence.timing import Timing
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.history.reviews import Reviews
from affidavit.history.store import History
from affidavit.ledger.places import PlacesReport
from affidavit.ledger.publication import Publication
from affidavit.ledger.timestamping import AuthorityStatus
from affidavit.search.answers import Answers
from affidavit.tlog.rotation import KeyChain


@dataclass(frozen=True)
class Services:
    """`host` names this machine in credentials of uids. `tag_key_of` gives the key of a name's tags. `file_access`:
    the process was started by the command that asks, on the log's own files. `public_log`: the published log.
    `writes`: changes can be recorded here; else each ends as `Unavailable`, and no reading is recorded.
    `status` gives what the process knows
    of itself: published size, gateways. `receipt` gives the receipt of a record that was written lately
    (`Ledger.receipt`). `authorities` are the configured time-stamp authorities, and how it went with each; `watches`
    how it goes with each watched upstream. `publication` tells how that goes. `stopping`: endless streams end now.
    `keys` gives all keys that the log had; `rotate(post_quantum, reason, content, fields)` gives it new ones, and the
    index of the record that says so; `rotation_denied(reason, content, fields)` records that somebody may not. `search`
    answers queries.
    """

    origin: str
    host: str
    file_access: bool
    live: Live
    history: History
    records: Records
    public_log: Source
    reviews: Reviews
    clock: Clock
    randomness: Callable[[int], bytes]
    tokens: Tokens
    administration: Administration
    readings: Readings
    writes: bool
    bounds: Bounds
    explainer: Explainer
    timing: Timing
    tag_key_of: Callable[[str], bytes]
    authorities: Callable[[], tuple[AuthorityStatus, ...]]
    watches: Callable[[], tuple[WatchStatus, ...]]
    places: Callable[[], PlacesReport]
    status: Callable[[], dict[str, Any]]
    publication: Callable[[], Publication]
    stopping: Callable[[], bool]
    receipt: Callable[[int], bytes]
    keys: Callable[[], KeyChain]
    rotate: Callable[[bool | None, str, Mapping[str, Any], Mapping[str, Any]], int]
    erasing: Erasing
    search: Answers
    rotation_denied: Callable[[str, Mapping[str, Any], Mapping[str, Any]], int]
