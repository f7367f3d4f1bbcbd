"""A running Affidavit before the clinic database, for tests with real clients."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from affidavit.cli.demo.certificate import self_signed
from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import Site

_APPLY = """
system/clinic:
  kind: postgresql
  description: the clinic's database
  key_columns: [public.lab_results.patient_id, public.patients.id, public.visits.patient_id]
identity/ada: {kind: human, name: Ada Berger, mail: ada@clinic.example}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""


@dataclass(frozen=True)
class Front:
    """A gateway that lets `ada` do everything on the clinic, and what a client needs to reach it."""

    site: Site
    clinic: Clinic
    token: str
    certificate: Path

    @property
    def port(self) -> int:
        return self.site.gateway_port

    def dsn(self, tail: str = "") -> str:
        return f"postgresql://ada:{self.token}@127.0.0.1:{self.port}/{self.clinic.database}{tail}"

    def records(self, query: str) -> list[dict[str, Any]]:
        """The records that a query finds, oldest first, as `export` gives them."""
        return self.site.records(query)


@pytest.fixture(scope="session")
def front(postgres: ThrowawayPostgres, clinic_template: Clinic) -> Iterator[Front]:
    """One gateway for the test process, before a database of its own."""
    clinic = replace(clinic_template, database="clinic_front")
    postgres.execute(f"CREATE DATABASE {clinic.database} TEMPLATE {clinic_template.database}")
    parent = Path(tempfile.mkdtemp(prefix="affidavit-front-"))
    certificate, key = self_signed(datetime.now(UTC))
    (parent / "gateway.crt").write_bytes(certificate)
    (parent / "gateway.key").touch(mode=0o600)
    (parent / "gateway.key").write_bytes(key)
    with Site(parent / "data") as site:
        site.create(postgres, clinic, (parent / "gateway.crt", parent / "gateway.key"))
        declared = parent / "declared.yaml"
        declared.write_text(_APPLY, encoding="utf-8")
        site.run("apply", str(declared), "--reason", "interop tests", "--yes")
        token = site.run("token", "create", "ada", "--json").json()["token"]
        site.start()
        yield Front(site, clinic, token, parent / "gateway.crt")
    shutil.rmtree(parent)
