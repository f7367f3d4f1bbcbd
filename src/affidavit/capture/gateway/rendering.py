"""The bodies of access records: how much of a statement, its parameters and its result stands in them.

What the settings ask for decides the form; what is cut or masked is said. Digests of values are HMAC-SHA256 under
the digest key, which lies outside the log, so that a digest cannot be reversed by guessing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affidavit.capture.gateway.planning import Plan
from affidavit.limits import (
    PARAMETER_TEXT_BYTES_MAX,
    PARAMETERS_KEPT_MAX,
    STATEMENT_TEXT_BYTES_MAX,
    SUBJECTS_MAX,
)
from affidavit.state.settings import Effective
from affidavit.wire.postgres.values import parameter_text
from affidavit.wire.sql.masking import mask_literals

_CAPTURED_BYTES_MAX = 16_384
_MESSAGE_CHARS_MAX = 500


@dataclass(frozen=True)
class Capture:
    """The effective capture settings of a context."""

    statement: str
    parameters: str
    result: str
    rows_max: int

    @staticmethod
    def of(settings: Mapping[str, Effective]) -> Capture:
        result = settings["capture.result"].value
        rows = int(result[5:]) if result.startswith("rows:") else 0
        form = "rows" if rows else result
        return Capture(settings["capture.statement"].value, settings["capture.parameters"].value, form, rows)


@dataclass
class Parameters:
    """Bound values as the client sent them. `oids` may be shorter than `values` where types are not known."""

    values: Sequence[bytes | None]
    formats: Sequence[int]
    oids: Sequence[int]

    def format_of(self, index: int) -> int:
        if not self.formats:
            return 0
        return self.formats[0] if len(self.formats) == 1 else self.formats[index]

    def text(self, index: int) -> tuple[str | None, str]:
        """The value at `index` as text, and how it was read."""
        value = self.values[index]
        if value is None:
            return None, "null"
        return parameter_text(value, self.format_of(index), self.oids[index] if index < len(self.oids) else 0)


@dataclass
class Subjects:
    """Values of declared key columns, seen in parameters and results. Bounded; `overflow` says that there were more."""

    found: set[tuple[str, str]] = field(default_factory=set)
    overflow: bool = False

    def add(self, column: str, value: str) -> None:
        if (column, value) in self.found:
            return
        if len(self.found) >= SUBJECTS_MAX:
            self.overflow = True
        else:
            self.found.add((column, value[:PARAMETER_TEXT_BYTES_MAX]))

    def block(self) -> dict[str, Any]:
        values = []
        for column, value in sorted(self.found):
            table, _, name = column.rpartition(".")
            values.append({"table": table, "column": name, "value": value})
        return {"values": values, "overflow": self.overflow}


class Renderer:
    """Renders under one digest key (32 bytes)."""

    def __init__(self, digest_key: bytes) -> None:
        self._key = digest_key

    def digest(self, data: bytes) -> str:
        return hmac.digest(self._key, data, "sha256").hex()

    def digester(self) -> hmac.HMAC:
        return hmac.new(self._key, digestmod=hashlib.sha256)

    def action(
        self, plan: Plan, capture: Capture, protocol: str, prepared: str, parameters: Parameters | None
    ) -> dict[str, Any]:
        """The body's `action` part."""
        statement = plan.statement
        part: dict[str, Any] = {
            **plan.described,
            "protocol": protocol,
            "bytes": plan.text_bytes,
            "form": capture.statement,
            "parameters_form": capture.parameters,
            "parameters_count": len(parameters.values) if parameters else 0,
        }
        if prepared:
            part["prepared"] = prepared[:200]
        if capture.statement == "digest":
            part["statement"] = self.digest(statement.text.encode())
        elif capture.statement == "normalized":
            self._text(part, statement.normalized)
        else:
            if statement.credential:
                part["masked"] = True
            self._text(part, mask_literals(statement.text) if statement.credential else statement.text)
        if parameters is not None and parameters.values:
            self._parameters(part, capture, parameters, statement.credential)
        return part

    def _text(self, part: dict[str, Any], text: str) -> None:
        encoded = text.encode("utf-8", "backslashreplace")
        if len(encoded) <= STATEMENT_TEXT_BYTES_MAX:
            part["statement"] = encoded.decode()
            return
        part["statement"] = encoded[:STATEMENT_TEXT_BYTES_MAX].decode("utf-8", "ignore")
        part["truncated"] = True
        part["digest"] = self.digest(encoded)

    def _parameters(self, part: dict[str, Any], capture: Capture, parameters: Parameters, secret: bool) -> None:
        if capture.parameters == "off":
            return
        if secret:
            part["masked"] = True
            return
        if capture.parameters == "digest":
            part["parameters"] = [{"digest": self._value_digest(v)} for v in parameters.values[:PARAMETERS_KEPT_MAX]]
        else:
            shown = range(min(len(parameters.values), PARAMETERS_KEPT_MAX))
            part["parameters"] = [self._parameter(parameters, i) for i in shown]
        if len(parameters.values) > PARAMETERS_KEPT_MAX:
            part["parameters_overflow"] = True

    def _value_digest(self, value: bytes | None) -> str:
        return "null" if value is None else self.digest(value)

    def _parameter(self, parameters: Parameters, index: int) -> dict[str, Any]:
        text, how = parameters.text(index)
        if text is not None and len(text) > PARAMETER_TEXT_BYTES_MAX:
            value = parameters.values[index] or b""
            return {
                "value": text[:PARAMETER_TEXT_BYTES_MAX],
                "how": how,
                "bytes": len(value),
                "digest": self.digest(value),
            }
        return {"value": text, "how": how}


@dataclass
class Result:
    """What came back for one statement, as it is seen going by."""

    capture: Capture
    rows: int = 0
    byte_count: int = 0
    tag: str = ""
    sqlstate: str = ""
    message: str = ""
    captured: list[list[str | None]] = field(default_factory=list)
    captured_bytes: int = 0
    captured_overflow: bool = False
    digester: hmac.HMAC | None = None
    overlooked: bool = False  # rows went by whose columns nobody had described

    def row(self, payload: bytes) -> None:
        self.rows += 1
        self.byte_count += len(payload)
        if self.digester is not None:
            self.digester.update(payload)

    def part(self, payload: bytes, begins: bool) -> None:
        """A piece of a row that is too large to be held."""
        self.rows += begins
        self.byte_count += len(payload)
        if self.digester is not None:
            self.digester.update(payload)

    def keep(self, values: list[str | None]) -> None:
        """Capture a row, as the setting asks; bounded by the body."""
        size = sum(len(v) for v in values if v is not None)
        if len(self.captured) >= self.capture.rows_max or self.captured_bytes + size > _CAPTURED_BYTES_MAX:
            self.captured_overflow = True
            return
        self.captured.append(values)
        self.captured_bytes += size

    def block(self, outcome: str, duration_ns: int) -> dict[str, Any]:
        """The body's `result` part."""
        part: dict[str, Any] = {"outcome": outcome, "duration_ns": duration_ns}
        if self.tag:
            part["tag"] = self.tag[:100]
        if self.sqlstate:
            part["sqlstate"] = self.sqlstate
            if self.message:
                part["message"] = self.message[:_MESSAGE_CHARS_MAX]
        if self.capture.result != "off":
            part["rows"] = self.rows
            part["bytes"] = self.byte_count
        if self.digester is not None and self.rows:
            part["digest"] = self.digester.hexdigest()
        if self.capture.result == "rows":
            part["captured"] = self.captured
            if self.captured_overflow:
                part["captured_overflow"] = True
        return part
