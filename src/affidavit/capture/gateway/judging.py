"""Decisions of one session: plans become decided units, under the view that is current."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from affidavit.capture.gateway.catalogue import Catalogue
from affidavit.capture.gateway.planning import Plan
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Capture, Result, Subjects
from affidavit.capture.gateway.unit import Portal, Unit, View
from affidavit.errors import InvalidInput
from affidavit.state.deciding import Authorization, Decider
from affidavit.wire.postgres.backend_messages import Column


class Head(Protocol):
    """The live state, as a session follows it."""

    @property
    def index(self) -> int:
        """The state index that has been applied."""


class Judge:
    """Decides under the newest view. `current` gives the view of the state as it is now, or None where its context has
    to be recorded first."""

    def __init__(
        self, head: Head, recorder: Recorder, catalogue: Catalogue, current: Callable[[], tuple[View, Decider] | None]
    ) -> None:
        self._head, self._recorder, self._current = head, recorder, current
        self._keys = catalogue.keys
        self._declared = frozenset(catalogue.keys.values())
        self._seen: tuple[View, Decider] | None = None

    @property
    def state(self) -> int:
        """The state index as it is now."""
        return self._head.index

    @property
    def watches(self) -> bool:
        """Whether the system declares key columns whose values name data subjects."""
        return bool(self._keys)

    def seen(self, view: View, decider: Decider) -> None:
        """A view whose context is recorded."""
        self._seen = view, decider

    def decide(self, plans: tuple[Plan, ...], protocol: str, prepared: str, portal: Portal | None) -> list[Unit] | None:
        """Units of `plans`, decided now; None where a view of the current state has to be made first."""
        seen = self._seen
        if seen is None or seen[0].state != self._head.index:
            seen = self._current()
            if seen is None:
                return None
            self._seen = seen
        view, decider = seen
        now, started = self._recorder.clock.now_ns(), self._recorder.clock.monotonic_ns()
        if view.until_ns is not None and view.until_ns <= now:
            return None  # whoever makes the view ends the session
        guarantee = view.read_guarantee if all(plan.read for plan in plans) else view.write_guarantee
        units = []
        for plan in plans:
            authorization = decider.decide(plan.requests, plan.facts, now)
            result = self._result(view.capture)
            unit = Unit(plan, view, authorization, guarantee, now, started, protocol, result, prepared)
            if portal is not None and portal.parameters.values:
                unit.parameters = portal.parameters
            if self._keys:
                self._watch(unit, portal)
            units.append(unit)
        return units

    def redecide(self, unit: Unit) -> Authorization:
        """Decide a unit again, under the view that is current now."""
        if self._seen is None:
            raise InvalidInput("gateway.view", "There is no view to decide under.")
        unit.view, decider = self._seen
        unit.at_ns = self._recorder.clock.now_ns()
        unit.authorization = decider.decide(unit.plan.requests, unit.plan.facts, unit.at_ns)
        return unit.authorization

    def _result(self, capture: Capture) -> Result:
        result = Result(capture)
        if capture.result in ("digest", "rows"):
            result.digester = self._recorder.renderer.digester()
        return result

    # data subjects

    def _watch(self, unit: Unit, portal: Portal | None) -> None:
        """Note which data subjects the statement names, and which columns of its result will name more."""
        for key in unit.plan.keys:
            column = f"{key.schema}.{key.table}.{key.column}"
            if column not in self._declared:
                continue
            how, value = key.value
            if how == "parameter" and unit.parameters is not None and 0 < int(value) <= len(unit.parameters.values):
                text, form = unit.parameters.text(int(value) - 1)
                if text is not None and form != "binary":
                    for one in text.strip("{}").split(",") if key.array else (text,):
                        self.subject(unit, column, one.strip('"'))
            elif how == "literal":
                self.subject(unit, column, str(value))
        if portal is not None:
            self.columns(unit, portal.columns, portal.result_formats)

    def columns(self, unit: Unit, columns: tuple[Column, ...], formats: tuple[int, ...]) -> None:
        """Note the columns of a unit's result, and which of them name data subjects.

        `formats` are those that a Bind asked for, where `columns` comes from the description of a statement, which
        does not know them.
        """
        if len(formats) == 1:
            columns = tuple(column._replace(format=formats[0]) for column in columns)
        elif formats and len(formats) == len(columns):
            columns = tuple(column._replace(format=form) for column, form in zip(columns, formats, strict=True))
        unit.columns = columns
        unit.watched = tuple(
            (position, self._keys[column.table_oid, column.attnum])
            for position, column in enumerate(columns)
            if (column.table_oid, column.attnum) in self._keys
        )

    def overlooked(self, unit: Unit) -> None:
        """Rows of `unit` were not looked into: where data subjects are watched, there may be more than were noted."""
        if self._keys:
            if unit.subjects is None:
                unit.subjects = Subjects()
            unit.subjects.overflow = True

    def subject(self, unit: Unit, column: str, value: str) -> None:
        """Note a data subject of `unit`."""
        if unit.subjects is None:
            unit.subjects = Subjects()
        unit.subjects.add(column, value)
