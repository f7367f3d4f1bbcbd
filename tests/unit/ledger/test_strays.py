"""Files that no checkpoint speaks of any more: partials of earlier sizes, while no full one is published yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import BOOT, Batch, Case
from simdisk import SimDisk

from affidavit.ledger.layout import Layout
from affidavit.ledger.strays import find_strays

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


@pytest.mark.parametrize("where", ["log/tile/entries/000.p/{}", "log/tile/0/000.p/{}", "bodies/000.p/{}"])
def test_an_earlier_partial_that_says_something_else_is_found(where: str) -> None:
    """A reader who fetched the checkpoint before still asks for it, and `verify` compares it too."""
    disk = SimDisk()
    case = Case(disk, ROOT)
    case.create()
    ledger = case.recover()
    size = ledger.publish_now().size
    ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
    now = ledger.publish_now().size
    assert [] == find_strays(disk, LAYOUT, now, now, ())
    disk.flip(ROOT / where.format(size), 5)
    found = find_strays(disk, LAYOUT, now, now, ())
    assert [(where.format(size), "files.partial", False)] == [(one.where, one.code, one.rubbish) for one in found]
