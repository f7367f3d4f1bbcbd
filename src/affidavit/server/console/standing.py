"""The state of the evidence: what `ready` found, how far the log is published, and who keeps its checkpoints."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from affidavit.clock import Clock
from affidavit.evidence.readiness import Finding
from affidavit.ledger.places import PlacesReport, PlaceStatus
from affidavit.ledger.publication import Publication
from affidavit.limits import CONSOLE_READY_FRESH_S
from affidavit.record.moment import NS
from affidavit.server.console.showing import clock_words
from affidavit.server.reading import checks
from affidavit.server.services import Services


@dataclass(frozen=True)
class Strip:
    """The line on top of each page. `missing` are checks of `ready` that do not hold, of `checked`."""

    size: int
    published: int
    trouble: str
    keeping: int
    places: int
    clock: str
    clock_bounded: bool
    missing: tuple[Finding, ...]
    checked: int


@dataclass(frozen=True)
class Overview:
    """The page that the console opens on."""

    findings: tuple[Finding, ...]
    publication: Publication
    trouble: str
    places: tuple[PlaceStatus, ...]
    cosigned: int | None
    wanted: bool
    clock: str
    newest: str

    @property
    def missing(self) -> int:
        """How many checks do not hold."""
        return sum(not one.holds for one in self.findings)


class Standing:
    """What `ready` found lately, for the line on top of pages. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._guard = clock, threading.Lock()
        self._found: tuple[Finding, ...] | None = None
        self._at_ns = 0

    def strip(self, services: Services) -> Strip:
        """The line on top: what is cheap to ask as it is now, the checks as they were lately."""
        with self._guard:
            fresh = self._clock.monotonic_ns() - self._at_ns < CONSOLE_READY_FRESH_S * NS
            found = self._found if self._found is not None and fresh else self._look(services)
        publication, report = services.publication(), services.places()
        bound_ns = _bound_ns(services)
        return Strip(
            publication.size,
            publication.published,
            _trouble(publication),
            _keeping(report),
            len(report.places),
            clock_words(bound_ns),
            bound_ns is not None,
            tuple(one for one in found if not one.holds),
            len(found),
        )

    def overview(self, services: Services) -> Overview:
        """The whole state, looked at now."""
        with self._guard:
            found = self._look(services)
        publication, report = services.publication(), services.places()
        records = services.records
        return Overview(
            found,
            publication,
            _trouble(publication),
            report.places,
            report.cosigned,
            report.wanted,
            clock_words(_bound_ns(services)),
            records.header(records.size - 1).log.at,
        )

    def _look(self, services: Services) -> tuple[Finding, ...]:
        self._found, self._at_ns = checks(services), self._clock.monotonic_ns()
        return self._found


def _bound_ns(services: Services) -> int | None:
    return services.bounds(services.records.header(services.records.size - 1))


def _keeping(report: PlacesReport) -> int:
    return sum(not place.problem and place.size is not None for place in report.places)


def _trouble(publication: Publication) -> str:
    """Why the log does not go on as it should; empty where it does."""
    for error in (publication.failure, publication.unsigned):
        if error is not None:
            return error.message
    return publication.kept_problem
