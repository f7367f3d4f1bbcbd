"""Apply files read strictly: plain YAML and Cedar texts, each mistake named with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from affidavit.cli.declaration import read_declaration
from affidavit.errors import InvalidInput
from affidavit.limits import APPLY_FILE_BYTES_MAX


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_words_that_yaml_takes_for_something_else_stay_text(tmp_path: Path) -> None:
    got = read_declaration(
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
    assert read_declaration(tmp_path) == {
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
        read_declaration(write(tmp_path, text))
    assert "file.yaml" in refused.value.message
    assert said in refused.value.message


def test_other_mistakes_with_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_declaration(tmp_path / "absent.yaml")
    with pytest.raises(InvalidInput, match=r"no \*\.yaml"):
        read_declaration(tmp_path)
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_declaration(tmp_path / "raw.yaml")
    write(tmp_path, "x" * (APPLY_FILE_BYTES_MAX + 1), "large.yaml")
    with pytest.raises(InvalidInput, match="at most"):
        read_declaration(tmp_path / "large.yaml")


def test_an_object_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "group/a: {}\n", "one.yaml")
    write(tmp_path, "group/a: {}\n", "two.yaml")
    with pytest.raises(InvalidInput, match="another file"):
        read_declaration(tmp_path)
