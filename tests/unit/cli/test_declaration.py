"""Apply files read strictly: plain YAML and Cedar texts, each mistake named with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from affidavit.cli.declaration import naming_places, read_declaration
from affidavit.errors import Conflict, InvalidInput
from affidavit.limits import APPLY_FILE_BYTES_MAX


def read(path: Path) -> dict[str, Any]:
    return read_declaration(path).objects


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_words_that_yaml_takes_for_something_else_stay_text(tmp_path: Path) -> None:
    got = read(
        write(
            tmp_path,
            "settings/user/no: {capture.parameters: off, app.answer: yes, app.size: 1_000, app.at: 12:30:00}\n"
            "grant/ana/g-1: {end: 2026-11-22T14:17:03Z, count: 7, ratio: 1.5, hex: 0x1F}\n"
            "identity/zoe: null\nidentity/yan: ~\nidentity/xi:\nflags: [true, false, True, on]\n",
        )
    )
    assert got == {
        "settings/user/no": {
            "capture.parameters": "off",
            "app.answer": "yes",
            "app.size": "1_000",
            "app.at": "12:30:00",
        },
        "grant/ana/g-1": {"end": "2026-11-22T14:17:03Z", "count": 7, "ratio": "1.5", "hex": "0x1F"},
        "identity/zoe": None,
        "identity/yan": None,
        "identity/xi": None,
        "flags": [True, False, "True", "on"],
    }


def test_a_folder_joins_its_files_and_takes_each_cedar_file_for_a_policy(tmp_path: Path) -> None:
    write(tmp_path, "group/a: {}\n", "people.yaml")
    write(tmp_path, "group/b: {}\n", "more.yml")
    write(tmp_path, "permit (principal, action, resource);\n", "all.cedar")
    write(tmp_path, "not read", "README.md")
    write(tmp_path, "not: [read", ".hidden.yaml")
    assert read(tmp_path) == {
        "policy/all": {"text": "permit (principal, action, resource);\n"},
        "group/b": {},
        "group/a": {},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x {}\nb: *x\n", ":2: not plain YAML: aliases are not read"),
        ("a: {}\na: {}\n", "'a' stands twice"),
        ("a: {b: 1, b: 2}\n", "'b' stands twice"),
        ("1: {}\n", "is not text"),
        ("a: !!python/object:os.system {}\n", "not plain YAML"),
        ("a: {b: [\n", "not plain YAML"),
        ("- a\n- b\n", "no mapping"),
        ("", "no mapping"),
        ("a: 1\n---\nb: 2\n", "not plain YAML"),
        ("[" * 3_000, "not plain YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(write(tmp_path, text))
    assert "file.yaml" in refused.value.message
    assert said in refused.value.message


def test_other_mistakes_with_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "absent.yaml")
    with pytest.raises(InvalidInput, match=r"no \*\.yaml"):
        read(tmp_path)
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read(tmp_path / "raw.yaml")
    write(tmp_path, "x" * (APPLY_FILE_BYTES_MAX + 1), "large.yaml")
    with pytest.raises(InvalidInput, match="at most"):
        read(tmp_path / "large.yaml")


def test_an_object_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "group/a: {}\n", "one.yaml")
    write(tmp_path, "group/a: {}\n", "two.yaml")
    with pytest.raises(InvalidInput, match=r"two.yaml:1: group/a is declared at .*one.yaml:1 too"):
        read(tmp_path)


def test_every_object_has_its_place(tmp_path: Path) -> None:
    write(tmp_path, "# people\ngroup/a: {}\ngroup/b:\n  description: two\n", "people.yaml")
    write(tmp_path, "permit (principal, action, resource);\n", "all.cedar")
    got = read_declaration(tmp_path)
    assert got.folder == tmp_path.name
    assert got.places == {
        "group/a": f"{tmp_path}/people.yaml:2",
        "group/b": f"{tmp_path}/people.yaml:3",
        "policy/all": f"{tmp_path}/all.cedar",
    }
    assert read_declaration(tmp_path / "people.yaml").folder == ""


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("`grant/ana/g`: `end` must be after `start`.", "a.yaml:1: "),
        ("grant/ana/g overlaps grant/ana/h, which gives the same.", "a.yaml:1: "),
        ("grant/ana/g-2 ended at 2026-11-02.", "b.yaml:7: "),
        ("start of grant/ana/h: '2026' is not a time.", "a.yaml:4: "),
        ("`membership/ana/x` names `grant/ana/g`, which is not there.", "a.yaml:1: "),
        ("settings/user/ana: below the floor.", "b.yaml:9: "),
        ("grant/ana/elsewhere is not declared here.", ""),
        ("A change needs a reason.", ""),
    ],
)
def test_what_is_refused_begins_with_the_place_of_what_it_names(message: str, place: str) -> None:
    places = {
        "grant/ana/g": "a.yaml:1",
        "grant/ana/h": "a.yaml:4",
        "grant/ana/g-2": "b.yaml:7",
        "settings/user/ana": "b.yaml:9",
    }
    with pytest.raises(Conflict) as refused, naming_places(places):
        raise Conflict("test.code", message, "hint")
    assert (refused.value.message, refused.value.hint) == (place + message, "hint")


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_bytes("group/a: {}\ngroup/b: {description: Süd}\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"old.yaml:2 is not UTF-8") as refused:
        read(path)
    assert refused.value.code == "apply.text"
