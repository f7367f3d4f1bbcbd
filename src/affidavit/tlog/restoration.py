"""What the log's key signs when it gives administration back outside of policy (`recover --administrator`).

The text names the log, the index of the change, and the root of the state map after it: so it is for that one change,
in that place, with that effect, and no other.
"""

from __future__ import annotations

RESTORATION_START = "affidavit recovery v1\n"


def restoration_text(origin: str, index: int, root: str) -> str:
    """The text for the change at `index` of the log `origin`, after which the state has the root `root` (hex)."""
    return f"{RESTORATION_START}{origin}\n{index}\n{root}\n"
