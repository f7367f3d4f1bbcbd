"""Who plays in the demo, and what is declared for them, as files for `affidavit apply`. Everybody is invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from affidavit.cli.demo.clinic import KEY_COLUMNS
from affidavit.record.moment import NS, format_moment


@dataclass(frozen=True)
class Person:
    """One of the cast. `group` says what they may do; `settings` are their own user-level settings, or empty. `kind`
    is `human`, or `service` for a program that acts by itself."""

    handle: str
    name: str
    role: str
    group: str
    settings: str
    kind: str = "human"


ANA = Person("ana", "Ana Lindqvist", "analyst", "analysts", "capture.result: count")
BEN = Person("ben", "Ben Okafor", "analyst", "analysts", "")
AMARA = Person("amara", "Dr. Amara Osei", "clinician", "clinicians", "capture.result: digest")
MARA = Person("mara", "Mara Keller", "head of the data office", "administrators", "capture.result: count")
THEO = Person("theo", "Theo Brandt", "data protection officer", "administrators", "capture.result: count")
EVERYBODY = (ANA, BEN, AMARA, MARA, THEO)
NIGHTLY = Person(
    "nightly", "Nightly report", "a program of the data office", "services", "capture.result: count", "service"
)

# The window in which the nightly report may read, from the declaration on: nobody writes down that it opens or closes.
WINDOW_OPENS_S = 12
WINDOW_CLOSES_S = 15

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
    "services-login": """\
// Programs may open a session. What they read takes a grant with a window.
permit (
  principal in Group::"services",
  action in [Action::"login", Action::"session"],
  resource in System::"clinic"
);
""",
    "research-annotates": """\
// The research group writes its notes into visits.
permit (
  principal in Group::"research",
  action == Action::"write",
  resource == Table::"clinic/public.visits"
);
""",
    "hold-for-auditor": """\
// Nobody reads the staff table while the external auditor works on it.
// Copied from the rules of another house: whom it names does not exist here, so it cannot be evaluated.
forbid (
  principal,
  action == Action::"read",
  resource == Table::"clinic/public.staff"
) when {
  Identity::"u-00000000000000ff".kind == "human"
};
""",
}

#: Put by a change of its own: the first declaration gives a grant, and after this nobody could do so alone.
TWO_PEOPLE = {
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

_GROUPS = (
    ("analysts", "evaluate treatment"),
    ("clinicians", "treat patients"),
    ("research", "annotate visits for studies"),
    ("services", "programs that act by themselves"),
)


def write_declaration(folder: Path, now_ns: int) -> None:
    """The cast, their groups and settings, the clinic and its policies, as a folder for `affidavit apply`.

    `now_ns`: the time, from which the window of the nightly report is counted.
    """
    write_policies(folder, _POLICIES)
    lines = ["# Who works at the clinic. People are named by handle; Affidavit gives each an id."]
    for group, description in _GROUPS:
        lines.append(f"group/{group}: {{description: {description}}}")
    for person in (*EVERYBODY, NIGHTLY):
        lines.append(
            f"identity/{person.handle}: "
            f"{{kind: {person.kind}, name: {person.name}, mail: {person.handle}@clinic.example}}  # {person.role}"
        )
        lines.append(f"membership/{person.handle}/{person.group}: {{}}")
        if person.settings:
            lines.append(f"settings/user/{person.handle}: {{{person.settings.replace(': ', ': ')}}}")
    lines += [
        "system/clinic:",
        "  kind: postgresql",
        "  description: the clinic's database",
        f"  key_columns: [{', '.join(KEY_COLUMNS)}]  # values of these say whose data it was",
        f"grant/{NIGHTLY.handle}/report:  # three seconds here stand for an hour at night",
        "  actions: [read]",
        "  resource: clinic/public.visits",
        f'  start: "{format_moment(now_ns + WINDOW_OPENS_S * NS)}"',
        f'  end: "{format_moment(now_ns + WINDOW_CLOSES_S * NS)}"',
        "  reason: the nightly report",
    ]
    (folder / "clinic.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_policies(folder: Path, policies: Mapping[str, str]) -> None:
    """A new folder for `affidavit apply`, with a file for each policy."""
    folder.mkdir()
    for name, text in policies.items():
        (folder / f"{name}.cedar").write_text(text, encoding="utf-8")
