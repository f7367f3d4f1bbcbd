"""All rows, and the table that stands in docs/THREAT_MODEL.md."""

from __future__ import annotations

from tampering.anchors import ANCHOR_ROWS
from tampering.files import FILE_ROWS
from tampering.kinds import LONG, Found, Tampering
from tampering.rotations import ROTATION_ROWS
from tampering.thief import THIEF_ROWS

#: The control: nothing is altered, and nothing must be found.
HONEST = Tampering("nothing", "nothing altered", lambda case: None, (), "there is nothing to find", LONG)
SEALED_ROWS = [*THIEF_ROWS, *ANCHOR_ROWS]
ROTATION_TITLE = (
    "**By somebody with root and one of the keys of a log whose key was rotated; the auditor knows the first**"
)
ROWS = [*FILE_ROWS, *SEALED_ROWS, *ROTATION_ROWS]
BEGIN, END = "<!-- tampering: made from tests/tampering -->", "<!-- /tampering -->"


def render() -> str:
    """The table, with its markers."""
    parts = [BEGIN, ""]
    for title, rows in (
        ("**By somebody with root, without signing anew**", FILE_ROWS),
        ("**By somebody with every key, who seals everything anew**", SEALED_ROWS),
        (ROTATION_TITLE, ROTATION_ROWS),
    ):
        parts += [title, "", "| part | alteration | found by | needs, beside the public key |", "|---|---|---|---|"]
        parts += [_line(row) for row in rows] + [""]
    return "\n".join([*parts, END])


def _line(row: Tampering) -> str:
    ways = [one for one in row.found if not one.needs] or row.found
    found = "; or ".join(f"{one.duty} `{one.code}`" for one in ways) or "**not found**"
    needs = "; or ".join(map(_needs, ways))
    needs = f"{needs}: {row.why}" if needs and row.why else needs or row.why
    return f"| {row.part} | {row.deed} | {found} | {needs} |"


def _needs(found: Found) -> str:
    return " and ".join(sorted(need.value for need in found.needs)) or "nothing"
