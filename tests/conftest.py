"""A PostgreSQL for the tests that need one: a server for each test process, a database for each test."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from affidavit.cli.demo.clinic import Clinic, load_clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres

_numbers = itertools.count(1)
#: Folders whose files take longest. They come first, so that no worker is left alone with one of them at the end.
_LONG = ("transcripts", "faults", "interop", "browser", "mutations", "properties", "simulation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are handed to the workers; within a file it stays as it is."""
    here = Path(__file__).parent
    rank = {folder: place for place, folder in enumerate(_LONG)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(here).parts[0], len(_LONG)))


@pytest.fixture(autouse=True)
def logging_is_on() -> Iterator[None]:
    """Campaigns that a test runs in its own process switch logging off: the next test finds it on."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def postgres() -> Iterator[ThrowawayPostgres]:
    """One server for the test process. Tests leave its settings and its superuser alone."""
    with ThrowawayPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def clinic_template(postgres: ThrowawayPostgres) -> Clinic:
    """What each clinic database is copied from. Nobody connects to it."""
    return load_clinic(postgres, "clinic_template")


@pytest.fixture
def clinic_db(postgres: ThrowawayPostgres, clinic_template: Clinic) -> Iterator[Clinic]:
    """A fresh clinic database, dropped with everything connected to it afterwards."""
    name = f"clinic_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {clinic_template.database}")
    yield Clinic(name, clinic_template.user, clinic_template.password)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
