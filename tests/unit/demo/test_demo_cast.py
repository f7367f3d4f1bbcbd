"""What the demo declares is what Affidavit accepts."""

from __future__ import annotations

from pathlib import Path

import yaml

from affidavit.cli.demo.cast import EVERYBODY, NIGHTLY, TWO_PEOPLE, write_declaration
from affidavit.state.policy import parse_policy


def test_every_policy_of_the_demo_is_accepted(tmp_path: Path) -> None:
    write_declaration(tmp_path / "declared", 0)
    texts = {path.stem: path.read_text() for path in (tmp_path / "declared").glob("*.cedar")} | TWO_PEOPLE
    effects = {name: parse_policy(text).effect for name, text in texts.items()}
    assert effects == {
        "analysts-login": "permit",
        "analysts-read": "permit",
        "clinicians": "permit",
        "grants-need-two": "forbid",
        "hold-for-auditor": "forbid",
        "research-annotates": "permit",
        "services-login": "permit",
    }


def test_everybody_but_ben_has_settings_of_their_own(tmp_path: Path) -> None:
    write_declaration(tmp_path / "declared", 0)
    declared = yaml.safe_load((tmp_path / "declared" / "clinic.yaml").read_text())
    people = {name.split("/")[1] for name in declared if name.startswith("identity/")}
    configured = {name.split("/")[2] for name in declared if name.startswith("settings/user/")}
    assert people == {person.handle for person in (*EVERYBODY, NIGHTLY)}
    assert people - configured == {"ben"}
