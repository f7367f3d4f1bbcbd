"""Apply files: YAML mappings from object name to value, and folders of them with `*.cedar` texts, read strictly.

Only plain YAML is read: no anchors, no tags, no key twice, `true` and `false` as the only booleans (so `off` is the
text that a setting needs), and times stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from affidavit.errors import AffidavitError, InvalidInput
from affidavit.limits import APPLY_FILE_BYTES_MAX, APPLY_FILES_MAX

_YAML_SUFFIXES = (".yaml", ".yml")
_CEDAR_SUFFIX = ".cedar"
_NAME = re.compile(r"[a-z]+/[^\s`,;()]*[^\s`,;().:]")  # an object's name in a message


class _Loader(yaml.SafeLoader):
    """SafeLoader with the JSON types alone."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own way to configure a loader

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            # An alias makes a small file stand for a huge value.
            mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in keys:
                problem = f"the key {key!r} stands twice" if isinstance(key, str) else f"the key {key!r} is not text"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))


@dataclass(frozen=True)
class Declaration:
    """Objects by name as their author wrote them, and where each stands: `people.yaml:12`. `folder`: its name where it
    was read from a folder, else empty."""

    objects: dict[str, Any]
    places: dict[str, str]
    folder: str


def read_declaration(path: Path) -> Declaration:
    """The objects that a file or folder declares. Raises `InvalidInput` naming file and line."""
    if path.is_dir():
        return _folder(path)
    objects, places, _ = _file(path, APPLY_FILE_BYTES_MAX)
    return Declaration(objects, places, "")


@contextmanager
def naming_places(places: Mapping[str, str]) -> Iterator[None]:
    """What is refused inside begins with the place of the declared object that it names first."""
    try:
        yield
    except AffidavitError as error:
        # The profile is declared with its identity.
        found = [name.replace("profile/", "identity/", 1) for name in _NAME.findall(error.message)]
        place = next((places[name] for name in found if name in places), None)
        if place is not None:
            error.message = f"{place}: {error.message}"
        raise


def _folder(folder: Path) -> Declaration:
    wanted = (*_YAML_SUFFIXES, _CEDAR_SUFFIX)
    files = sorted(path for path in folder.iterdir() if path.suffix in wanted and not path.name.startswith("."))
    if not files:
        raise InvalidInput("apply.empty", f"{folder} holds no *.yaml and no *.cedar file.")
    if len(files) > APPLY_FILES_MAX:
        raise InvalidInput("apply.size", f"{folder} holds more than {APPLY_FILES_MAX} files.")
    declared: dict[str, Any] = {}
    places: dict[str, str] = {}
    left = APPLY_FILE_BYTES_MAX
    for path in files:
        objects, lines, size = _file(path, left)
        left -= size
        for name, value in objects.items():
            if name in declared:
                raise InvalidInput(
                    "apply.twice", f"{lines[name]}: {name} is declared at {places[name]} too.", "Keep one."
                )
            declared[name] = value
        places |= lines
    return Declaration(declared, places, folder.resolve().name)


def _file(path: Path, bytes_max: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """What a file declares, where, and its bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise InvalidInput("apply.file", f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > bytes_max:
        raise InvalidInput("apply.size", f"{path}: a declaration has at most {APPLY_FILE_BYTES_MAX} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput("apply.text", f"{path}:{line} is not UTF-8 text.", "Save it as UTF-8.") from None
    if path.suffix == _CEDAR_SUFFIX:
        name = f"policy/{path.stem}"
        return {name: {"text": text}}, {name: str(path)}, len(data)
    objects, lines = _parse(text, path)
    return objects, {name: f"{path}:{line}" for name, line in lines.items()}, len(data)


def _parse(text: str, path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The mapping that a YAML text holds, and the line of each key."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}" if mark is not None else ""
        raise InvalidInput("apply.yaml", f"{path}{where}: not plain YAML: {error.problem}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput("apply.yaml", f"{path}: not plain YAML: {str(error)[:200]}.") from None
    if node is None or not isinstance(value, dict):
        raise InvalidInput(
            "apply.yaml", f"{path} is no mapping from object name to value.", "For example: `group/analysts: {}`."
        )
    return value, {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
