"""All rows, and the table that stands in docs/THREAT_MODEL.md."""

from __future__ import annotations

from tampering.anchors import ANCHOR_ROWS
from tampering.endings import ENDING_ROWS
from tampering.erasures import ERASURE_ROWS
from tampering.files import FILE_ROWS
from tampering.kinds import LONG, RECEIPT_CHECK, Found, Tampering
from tampering.receipts import RECEIPT_ROWS
from tampering.rotations import ROTATION_ROWS
from tampering.thief import THIEF_ROWS
from tampering.witness_folder import FOLDER_ROWS, FolderTampering
from tampering.witnessed import WITNESSED_ROWS

#: The control: nothing is altered, and nothing must be found.
HONEST = Tampering("nothing", "nothing altered", lambda case: None, (), "there is nothing to find", LONG)
SEALED_ROWS = [*THIEF_ROWS, *ENDING_ROWS, *ANCHOR_ROWS, *ERASURE_ROWS]
ROTATION_TITLE = (
    "**By somebody with root and one of the keys of a log whose key was rotated; the auditor knows the first**"
)
WITNESSED_TITLE = (
    "**By somebody with root and the log's stolen key, where three witnesses cosign; the auditor's own copy of the policy "
    "asks for two of them**"
)
FOLDER_TITLE = "**A witness's own folder, by root on the machine where it runs**"
ROWS = [*FILE_ROWS, *SEALED_ROWS, *ROTATION_ROWS, *WITNESSED_ROWS, *RECEIPT_ROWS]
BEGIN, END = "<!-- tampering: made from tests/tampering -->", "<!-- /tampering -->"


def render() -> str:
    """The table, with its markers."""
    parts = [BEGIN, ""]
    for title, rows in (
        ("**By somebody with root, without signing anew**", FILE_ROWS),
        ("**By somebody with every key, who seals everything anew**", SEALED_ROWS),
        (ROTATION_TITLE, ROTATION_ROWS),
        (WITNESSED_TITLE, WITNESSED_ROWS),
        ("**By the same, where somebody holds a receipt; or by who holds the receipt**", RECEIPT_ROWS),
    ):
        parts += [title, "", "| part | alteration | found by | needs, beside the public key |", "|---|---|---|---|"]
        parts += [_line(row) for row in rows] + [""]
    parts += [
        FOLDER_TITLE,
        "",
        "| part | alteration | found by |",
        "|---|---|---|",
        *map(_folder_line, FOLDER_ROWS),
        "",
    ]
    return "\n".join([*parts, END])


def _line(row: Tampering) -> str:
    ways = [one for one in row.found if not one.needs] or row.found
    found = "; or ".join(f"{_checked(one)} `{one.code}`" for one in ways) or "**not found**"
    needs = "; or ".join(map(_needs, ways))
    needs = f"{needs}: {row.why}" if needs and row.why else needs or row.why
    return f"| {row.part} | {row.deed} | {found} | {needs} |"


def _folder_line(row: FolderTampering) -> str:
    if not row.found:
        return f"| {row.part} | {row.deed} | **not found**: {row.why} |"
    found = f"the log: the status {row.found}" if row.found.isdigit() else f"its start: `{row.found}`"
    return f"| {row.part} | {row.deed} | {found} |"


def _checked(found: Found) -> str:
    return "`affidavit receipt check`:" if found.duty == RECEIPT_CHECK else str(found.duty)


def _needs(found: Found) -> str:
    return " and ".join(sorted(need.value for need in found.needs)) or "nothing"
