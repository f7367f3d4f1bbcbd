"""Reference pages made from the code: commands, endpoints, error codes. Compared by tests/unit/cli/test_reference.py."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from unittest.mock import patch

from affidavit import errors
from affidavit.cli.main import make_app
from affidavit.errors import AffidavitError
from affidavit.search.fields import FIELDS
from affidavit.server.app import ROUTES

SOURCE = Path(errors.__file__).parent
PAGES = SOURCE.parents[1] / "docs" / "reference"
_CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, AffidavitError) and kind is not AffidavitError
}
_CLI_HEAD = """# Commands

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew.

Exit status: 0 it holds or is done, 1 it does not hold or is not allowed, 2 wrong input, 3 something could not be
reached or read; 4 `order` cannot tell; 141 when whoever reads the output stopped reading, as `head` does. An error is one line on standard
error that says what to do. Tables and colour appear on a terminal only. While the server runs (`affidavit up`),
commands speak to it over the local socket; else they open the log themselves, and what they record is marked as file access. `--data` or `AFFIDAVIT_DATA` names the data folder,
`--token` or `AFFIDAVIT_TOKEN` acts as the owner of a personal token.

## The query

`timeline`, `export` and `follow` take a query. [Find records](../howto/search.md) has examples; the rules:

* A query is terms, joined by *and*. `OR` joins what may hold instead, and binds less; `NOT` or a minus before a term
  negates it; parentheses group. `AND` may be written. Operators are upper case.
* A term is `field:value`. Commas give alternatives, `value*` a beginning, `*` alone any value.
* Numbers, positions and times have an order: `rows>1000`, `rows<=5`, `rows:10..20` (both included, either end may be
  left out). Bytes take `kB` `MB` `GB` `KiB` `MiB` `GiB`; durations need `ns` `us` `ms` `s` `m` `h` or `d`.
* A time is as long as it was written: `at:2026-11-22T14:17` is that minute, `at:2026-11` that month, `at:14:17` that
  minute of today. It is UTC unless a zone stands behind it: `+01:00`, `Z`, `Europe/Berlin`. `~5m` widens it to both
  sides. A record's time is certain up to its clock's bound: where only a part of that lies inside, it matches
  *possibly*, and is shown as such; where nothing bounds the clock its own claim counts, never more than possibly.
* Other words, and phrases in double quotes, must stand in the statement or the reason, in upper or lower case. In
  quotes `""` is one quote. Text with a space, a colon, a comparison or an operator needs quotes; `count(*)` does not.
* What a body says can only be asked where it can be read and speaks of it: else neither a term nor its negation finds
  the record. `has` knows of every body that can be read what it lacks: `NOT has:ticket`.
* What cannot be read is refused, with its column. A shell reads `>`, `(`, `*` and quotes itself: put the query in single
  quotes.

| field | for example | finds |
|---|---|---|
{fields}

"""
_HTTP_HEAD = """# HTTP API

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew.

Served on the unix socket that `affidavit.toml` names. The actor is the peer's uid, through `credential/uid-HOST-UID`,
or the owner of `Authorization: Bearer aff_…`. Reading the log takes the right to `read` or to `admin` on `Log::"log"`.
Bodies are JSON objects of at most 8 MiB; unknown members are refused. An error is `{code, message, hint, exit_status}`
with status 400 (wrong input), 401 (nobody proved), 403 (not allowed), 404, 405, 409 (the state moved on), 500 (stored
bytes are wrong, or a defect), 503 (not now).

The public log, where `[public]` is configured, is served elsewhere and without any of this: see
[Publish the log](../howto/publish.md).

"""
_ERRORS_HEAD = """# Error codes

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew. The class says what to do next.

"""


def cli_page() -> str:
    """Every command with its options."""
    with patch.object(sys, "argv", ["affidavit"]):  # the usage lines begin with it
        text = make_app(whole=True).generate_docs(output_format="markdown", heading_level=2)
    return _CLI_HEAD.replace("{fields}", _fields()) + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _fields() -> str:
    rows = []
    for field in FIELDS.values():
        closed = "" if field.closed is None else f": {' '.join(f'`{value}`' for value in sorted(field.closed))}"
        rows.append(f"| `{field.name}` | `{field.example}` | {field.help}{closed} |")
    return "\n".join(rows)


def http_page() -> str:
    """Every endpoint with its own words."""
    lines = []
    for method, path, endpoint in ROUTES:
        words = inspect.getdoc(endpoint) or ""
        head, _, rest = words.partition(": ")
        lines += [f"## `{head}`", "", rest[:1].upper() + rest[1:], ""]
        assert head.partition("?")[0] == f"{method} {path}", head
    return _HTTP_HEAD + "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """Every code that is raised by name, with its class and the words of its message."""
    parts = [_ERRORS_HEAD.rstrip()]
    found = sorted(_raised())
    for name, kind in _CLASSES.items():
        rows = [(code, message) for code, class_name, message in found if class_name == name]
        if rows:
            words = " ".join((inspect.getdoc(kind) or "").split())
            parts.append(f"## {name}: exit status {kind.exit_status}\n\n{words}\n\n| code | says |\n|---|---|")
            parts[-1] += "".join(f"\n| `{code}` | {message} |" for code, message in rows)
    return "\n\n".join(parts) + "\n"


def _raised() -> set[tuple[str, str, str]]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CLASSES:
                arguments = node.args
                if len(arguments) >= 2 and isinstance(arguments[0], ast.Constant):
                    found.setdefault((str(arguments[0].value), node.func.id), _words(arguments[1]))
    return {(code, name, message) for (code, name), message in found.items()}


def _words(node: ast.expr) -> str:
    """The message with … for what is filled in."""
    if isinstance(node, ast.Constant):
        text = str(node.value)
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    else:
        text = "…"
    return " ".join(text.replace("|", "\\|").split())
