"""Apply files: YAML mappings from object name to value, and folders of them with `*.cedar` texts, read strictly.

Only plain YAML is read: no anchors, no tags, no key twice, `true` and `false` as the only booleans (so `off` is the
text that a setting needs), and times stay text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from affidavit.errors import InvalidInput
from affidavit.limits import APPLY_FILE_BYTES_MAX, APPLY_FILES_MAX

_YAML_SUFFIXES = (".yaml", ".yml")
_CEDAR_SUFFIX = ".cedar"


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


def read_declaration(path: Path) -> dict[str, Any]:
    """The objects that a file or folder declares. Raises `InvalidInput` naming file and line."""
    if path.is_dir():
        return _folder(path)
    return _file(path, APPLY_FILE_BYTES_MAX)[0]


def _folder(folder: Path) -> dict[str, Any]:
    wanted = (*_YAML_SUFFIXES, _CEDAR_SUFFIX)
    files = sorted(path for path in folder.iterdir() if path.suffix in wanted and not path.name.startswith("."))
    if not files:
        raise InvalidInput("apply.empty", f"{folder} holds no *.yaml and no *.cedar file.")
    if len(files) > APPLY_FILES_MAX:
        raise InvalidInput("apply.size", f"{folder} holds more than {APPLY_FILES_MAX} files.")
    declared: dict[str, Any] = {}
    left = APPLY_FILE_BYTES_MAX
    for path in files:
        objects, size = _file(path, left)
        left -= size
        for name, value in objects.items():
            if name in declared:
                raise InvalidInput("apply.twice", f"{path}: {name} is declared in another file too.", "Keep one.")
            declared[name] = value
    return declared


def _file(path: Path, bytes_max: int) -> tuple[dict[str, Any], int]:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise InvalidInput("apply.file", f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > bytes_max:
        raise InvalidInput("apply.size", f"{path}: a declaration has at most {APPLY_FILE_BYTES_MAX} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("apply.text", f"{path} is not UTF-8 text.") from None
    if path.suffix == _CEDAR_SUFFIX:
        return {f"policy/{path.stem}": {"text": text}}, len(data)
    return _parse(text, path), len(data)


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader with fewer types
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}" if mark is not None else ""
        raise InvalidInput("apply.yaml", f"{path}{where}: not plain YAML: {error.problem}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput("apply.yaml", f"{path}: not plain YAML: {str(error)[:200]}.") from None
    if not isinstance(value, dict):
        raise InvalidInput(
            "apply.yaml", f"{path} is no mapping from object name to value.", "For example: `group/analysts: {}`."
        )
    return value
