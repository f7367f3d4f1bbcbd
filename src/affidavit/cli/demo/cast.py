"""Who plays in the demo, and what is declared for them, as files for `affidavit apply`. Everybody is invented."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affidavit.cli.demo.clinic import KEY_COLUMNS


@dataclass(frozen=True)
class Person:
    """One of the cast. `group` says what they may do; `settings` are their own user-level settings, or empty."""

    handle: str
    name: str
    role: str
    group: str
    settings: str


ANA = Person("ana", "Ana Lindqvist", "analyst", "analysts", "capture.result: count")
BEN = Person("ben", "Ben Okafor", "analyst", "analysts", "")
AMARA = Person("amara", "Dr. Amara Osei", "clinician", "clinicians", "capture.result: digest")
MARA = Person("mara", "Mara Keller", "head of the data office", "administrators", "capture.result: count")
THEO = Person("theo", "Theo Brandt", "data protection officer", "administrators", "capture.result: count")
EVERYBODY = (ANA, BEN, AMARA, MARA, THEO)

_POLICIES = {
    "clinicians": """\
// Clinicians read and write in the clinic's database.
permit (
  principal in Group::"clinicians",
  action in [Action::"login", Action::"session", Action::"read", Action::"write"],
  resource in System::"clinic"
);
""",
    "analysts-login": """\
// Analysts may open a session and set it up.
permit (
  principal in Group::"analysts",
  action in [Action::"login", Action::"session"],
  resource in System::"clinic"
);
""",
    "analysts-read": """\
// Analysts read everything in the clinic but the table that says who the patients are.
permit (
  principal in Group::"analysts",
  action == Action::"read",
  resource in System::"clinic"
) unless {
  resource == Table::"clinic/public.patients"
};
""",
    "grants-need-two": """\
// Nobody gives a grant alone. Taking one away needs nobody else.
forbid (
  principal,
  action == Action::"grant",
  resource in ObjectKind::"grant"
) unless {
  (context has op && context.op == "delete") ||
  (context has approving && context.approving) ||
  (context has approvals && context.approvals >= 1)
};
""",
}


def write_declaration(folder: Path) -> None:
    """The cast, their groups and settings, the clinic and its policies, as a folder for `affidavit apply`."""
    folder.mkdir()
    for name, text in _POLICIES.items():
        (folder / f"{name}.cedar").write_text(text, encoding="utf-8")
    lines = ["# Who works at the clinic. People are named by handle; Affidavit gives each an id."]
    for group, description in (("analysts", "evaluate treatment"), ("clinicians", "treat patients")):
        lines.append(f"group/{group}: {{description: {description}}}")
    for person in EVERYBODY:
        lines.append(
            f"identity/{person.handle}: "
            f"{{kind: human, name: {person.name}, mail: {person.handle}@clinic.example}}  # {person.role}"
        )
        lines.append(f"membership/{person.handle}/{person.group}: {{}}")
        if person.settings:
            lines.append(f"settings/user/{person.handle}: {{{person.settings.replace(': ', ': ')}}}")
    lines += [
        "system/clinic:",
        "  kind: postgresql",
        "  description: the clinic's database",
        f"  key_columns: [{', '.join(KEY_COLUMNS)}]  # values of these say whose data it was",
    ]
    (folder / "clinic.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
