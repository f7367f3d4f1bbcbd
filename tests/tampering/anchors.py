"""Alterations of a log that holds time-stamp tokens, by somebody who holds every key of the log and none of an authority."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from logmaker import LEDGER, ORIGIN, T0_NS, Paper, Rec, afternoon, stored, with_content, without, write_log
from tsa import YEAR, Made

from affidavit.record.moment import format_moment
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import leaf_hash, root_of
from tampering.kinds import ACCESSES, Case, Found, Need, Tampering

_SECOND = 1_000_000_000
_READ = frozenset({Need.BODY_KEYS})
_PROVED = frozenset({Need.BODY_KEYS, Need.AUTHORITY})
_KEPT = Found(5, "kept.forked", frozenset({Need.KEPT}))


@cache
def authority() -> Made:
    """The authority that everybody trusts."""
    start = datetime.fromtimestamp(T0_NS // _SECOND, UTC)
    return Made(starts=start - YEAR, ends=start + YEAR)


def _add_anchor(paper: Paper, previous: int | None) -> int:
    """An anchor over all that stands on the paper so far."""
    size = len(paper.records)
    root = root_of([leaf_hash(raw) for raw, _ in stored(paper.records)])
    imprint = hashlib.sha256(Checkpoint(ORIGIN, size, root).format().encode()).digest()
    now = paper.now_ns // _SECOND * _SECOND
    token = authority().forge(imprint, datetime.fromtimestamp(now // _SECOND, UTC), nonce=5, accuracy={"millis": 500})
    content = {
        "method": "rfc3161",
        "authority": {"name": "Example", "url": "https://tsa.example/"},
        "checkpoint": {"size": size, "root": root.hex()},
        "imprint": imprint.hex(),
        "nonce": "5",
        "token": base64.b64encode(token).decode(),
        "time": format_moment(now),
        "accuracy_ns": "500000000",
        "previous": previous,
    }
    return paper.add("anchor", LEDGER, content)


@cache
def _base() -> tuple[tuple[Rec, ...], int, int, int]:
    """The afternoon with two anchors behind it; where they stand, and an access before them."""
    paper = Paper()
    paper.genesis()
    play = afternoon(ACCESSES, on=paper)
    first = _add_anchor(paper, None)
    paper.clock("interval")
    second = _add_anchor(paper, first)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return tuple(paper.records), first, second, play.first_access + 8


def _row(
    part: str, deed: str, rewrite: Callable[[Sequence[Rec]], list[Rec]], *found: Found, why: str = ""
) -> Tampering:
    def alter(case: Case) -> None:
        records = list(_base()[0])
        shutil.rmtree(case.folder)
        case.kept = tuple(write_log(case.folder, records, (3, 10, _base()[1], _base()[2])))
        case.authority = authority().pem
        case.write(rewrite(records))

    return Tampering(part, deed, alter, found, why)


def _edit(index: int, change: Callable[[dict[str, Any]], object]) -> Callable[[Sequence[Rec]], list[Rec]]:
    return lambda records: [with_content(one, change) if at == index else one for at, one in enumerate(records)]


def _token(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], object]:
    """Change the token's bytes in an anchor's body."""

    def edit(content: dict[str, Any]) -> None:
        content["token"] = base64.b64encode(change(base64.b64decode(content["token"]))).decode()

    return edit


def _flipped(der: bytes) -> bytes:
    """A bit of the signature, which stands at the end."""
    return der[:-10] + bytes([der[-10] ^ 1]) + der[-9:]


def _rows() -> list[Tampering]:
    _, first, second, access = _base()
    statement = _edit(access, lambda content: content["action"].update(statement="SELECT 1 FROM visits"))
    checkpoint = Found(21, "time.checkpoint", _PROVED)

    def last_left(records: Sequence[Rec]) -> list[Rec]:
        return without(records, second)

    return [
        _row("anchor", "left in place while an access before it is rewritten", statement, checkpoint, _KEPT),
        _row("anchor", "the earlier of two removed", lambda r: without(r, first), Found(21, "time.previous", _READ), _KEPT),
        _row(
            "anchor", "the newest removed", last_left, Found(5, "kept.ahead", frozenset({Need.KEPT})),
            why="nothing after it refers to it; what it proved of time is proved no more, which the verdict says",
        ),
        _row(
            "anchor", "its time changed", _edit(second, lambda c: c.update(time=format_moment(T0_NS))),
            Found(21, "time.anchor", _PROVED), _KEPT,
        ),
        _row(
            "anchor", "its token replaced by that of another checkpoint",
            lambda r: _edit(second, lambda c: c.update(token=r[first].content["token"]))(r),
            Found(21, "timestamp.imprint", _PROVED), _KEPT,
        ),
        _row("anchor", "its token cut", _edit(second, _token(lambda der: der[:-20])), Found(21, "timestamp.malformed", _PROVED), _KEPT),
        _row("anchor", "its token extended", _edit(second, _token(lambda der: der + bytes(20))), Found(21, "timestamp.malformed", _PROVED), _KEPT),
        _row("anchor", "its token changed", _edit(second, _token(_flipped)), Found(21, "timestamp.authority", _PROVED), _KEPT),
    ]  # fmt: skip


ANCHOR_ROWS = _rows()
