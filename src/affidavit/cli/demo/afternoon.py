"""The afternoon: real sessions of real clients through the gateway, and the changes in between, in a few seconds.

Everything here goes through what everybody has: psycopg speaks to the gateway, the command line administers, each
person with their own token.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from affidavit.cli.demo.cast import AMARA, ANA, BEN, EVERYBODY, MARA, NIGHTLY, THEO
from affidavit.cli.demo.site import Site
from affidavit.cli.demo.stage import ALLOWED, CHANGED, DENIED, QUIET, Stage
from affidavit.errors import VerificationError

PATIENT = 17
PAUSE_S = 2.0  # between the approval and the access, so that "before" is a number one can feel
QUESTION_SQL = "SELECT name, born, insurance_number FROM patients WHERE id = %s"
_CONNECT_TIMEOUT_S = 10
_LAPSE_TIMEOUT_S = 60  # of the window's end, which is seconds away


@dataclass(frozen=True)
class Asked:
    """What the afternoon leaves behind to ask about: the index of the access, and of the change that allowed it."""

    access: int
    change: int


class Play:
    """The afternoon at one site. `tokens` maps handles to personal tokens."""

    def __init__(self, stage: Stage, site: Site, tokens: Mapping[str, str]) -> None:
        self._stage = stage
        self._site = site
        self._tokens = tokens

    def run(self) -> Asked:
        """All of it. Raises VerificationError where something does not happen as it must."""
        with self._connected(ANA.handle) as ana, self._connected(BEN.handle) as ben:
            self._analysts(ana, ben)
            self._clinician()
            self._denied(ben)
            change = self._granted()
            access = self._allowed(ben)
            self._settings_changed(ana)
            self._revoked(ben)
            self._nested(ana)
            self._unevaluable(ben)
        self._too_late()
        return Asked(access, change)

    def _analysts(self, ana: psycopg.Connection[Any], ben: psycopg.Connection[Any]) -> None:
        self._stage.chapter("Two analysts at work")
        shown = self._site.records("kind:presented actor:ana")[0]
        self._stage.note(f"What Ana's client was told at login (record {shown['index']}):")
        for line in shown["body"]["text"]:
            self._stage.result(line, QUIET)
        self._ask(ana, ANA.handle, "SELECT reason, visits FROM visits_by_reason ORDER BY visits DESC")
        prepared = "SELECT test, round(avg(value), 2) FROM lab_results WHERE patient_id = %s GROUP BY test"
        for patient in (PATIENT, 23):
            self._ask(ana, ANA.handle, prepared, (patient,))
        self._ask(ben, BEN.handle, "SELECT count(*) FROM visits WHERE reason = %s", ("cough",))

    def _clinician(self) -> None:
        self._stage.chapter("A clinician: a read, a write, and a mistake taken back")
        with self._connected(AMARA.handle) as amara:
            self._ask(amara, AMARA.handle, "SELECT name, born FROM patients WHERE id = %s", (PATIENT,))
            self._ask(amara, AMARA.handle, "UPDATE visits SET notes = %s WHERE id = %s", ("blood drawn", 212))
            self._stage.statement(AMARA.handle, "BEGIN")
            with amara.transaction(force_rollback=True):
                self._ask(amara, AMARA.handle, "DELETE FROM lab_results WHERE patient_id = %s", (PATIENT,))
            self._stage.statement(AMARA.handle, "ROLLBACK")
            self._stage.result("taken back: nothing was deleted, and the log says that too", CHANGED)

    def _denied(self, ben: psycopg.Connection[Any]) -> None:
        self._stage.chapter("Ben wants to know who patient 17 is")
        self._refused(ben, QUESTION_SQL, (PATIENT,))

    def _granted(self) -> int:
        """Mara proposes, may not approve her own proposal, Theo approves. Returns the index of the change."""
        self._stage.chapter("A grant, which nobody gives alone")
        reason = "recall of a laboratory kit: call the patients"
        arguments = ["grant", BEN.handle, "read", "on", "clinic/public.patients", "--for", "2h"]
        arguments += ["--reason", reason, "--ticket", "DPO-512"]
        proposal = self._command(MARA.handle, arguments)
        index = str(proposal["index"])
        self._stage.result(f"record {index}: a proposal; it waits for somebody else", CHANGED)
        own = self._site.run("approve", index, "--reason", "mine", token=self._tokens[MARA.handle], expect=(1, 2))
        self._stage.command(MARA.handle, f"approve {index}")
        self._stage.result(own.errors.strip(), DENIED)
        approved = self._command(THEO.handle, ["approve", index, "--reason", "recall confirmed with the laboratory"])
        change = int(approved["change"])
        self._stage.result(f"record {change}: the grant holds from now, for two hours", CHANGED)
        return change

    def _allowed(self, ben: psycopg.Connection[Any]) -> int:
        """The same statement in the same open session. Returns the index of its record."""
        time.sleep(PAUSE_S)
        self._stage.chapter("The same query, in the same session")
        self._ask(ben, BEN.handle, QUESTION_SQL, (PATIENT,))
        found = self._site.records("actor:ben kind:access decision:allow table:public.patients")
        if len(found) != 1:
            raise VerificationError("demo.story", f"Ben's one access to patients has {len(found)} records.")
        return int(found[0]["index"])

    def _settings_changed(self, ana: psycopg.Connection[Any]) -> None:
        self._stage.chapter("A user's settings change while her session is open")
        changed = self._command(
            MARA.handle,
            ["settings", "set", ANA.handle, "capture.result=rows:3", "--reason", "sample of results for the review"],
        )
        self._stage.result(f"record {changed['change']}: Ana's answers are kept from now on, three rows each", CHANGED)
        self._ask(ana, ANA.handle, "SELECT test, value FROM lab_results WHERE patient_id = %s", (23,))
        last = self._site.records("actor:ana kind:access")[-1]
        self._stage.result(
            f"record {last['index']} is decided under a new context, record {last['header']['context']}", CHANGED
        )

    def _revoked(self, ben: psycopg.Connection[Any]) -> None:
        self._stage.chapter("The grant is taken back while Ben's session is open")
        name = self._grant_name()
        declared = self._site.folder.with_name("revoke.yaml")
        declared.write_text(f"{name}: null\n", encoding="utf-8")
        revoked = self._command(
            MARA.handle, ["apply", str(declared), "--reason", "recall finished", "--yes"], shown="apply revoke.yaml"
        )
        self._stage.result(f"record {revoked['change']}: taking away needs nobody else", CHANGED)
        self._refused(ben, QUESTION_SQL, (PATIENT,))

    def _nested(self, ana: psycopg.Connection[Any]) -> None:
        self._stage.chapter("Nobody touches Ana's permissions, and they grow: her group joins another")
        declared = self._site.folder.with_name("nesting.yaml")
        declared.write_text("membership/group:analysts/research: {}\n", encoding="utf-8")
        nested = self._command(
            MARA.handle,
            ["apply", str(declared), "--reason", "analysts help with the cough study", "--yes"],
            shown="apply nesting.yaml",
        )
        self._stage.result(
            f"record {nested['change']}: the analysts are in research now; it does not name Ana", CHANGED
        )
        self._ask(ana, ANA.handle, "UPDATE visits SET notes = %s WHERE id = %s", ("cough study", 212))

    def _unevaluable(self, ben: psycopg.Connection[Any]) -> None:
        self._stage.chapter("A rule that cannot be evaluated does not let anything through")
        self._refused(ben, "SELECT name, role FROM staff", ())

    def _too_late(self) -> None:
        """The nightly report comes after its window, and after the record that takes its grant away."""
        self._stage.chapter("A program comes after its window")
        self._wait_for_lapse()
        with self._connected(NIGHTLY.handle) as nightly:
            self._refused(nightly, "SELECT count(*) FROM visits", ())

    def _wait_for_lapse(self) -> None:
        deadline = time.monotonic() + _LAPSE_TIMEOUT_S
        while not (found := self._site.records("kind:lapse")):
            if time.monotonic() > deadline:
                raise VerificationError("demo.story", "The nightly report's grant did not lapse.")
            time.sleep(PAUSE_S / 4)
        self._stage.result(
            f"record {found[0]['index']}: its grant lapsed; that it had begun is nobody's record", CHANGED
        )

    def _grant_name(self) -> str:
        """The grant's object name with Ben's handle in it, as people write it."""
        put = self._site.records("kind:change object:grant/ben")[-1]["body"]["objects"][0]["name"]
        return f"grant/{BEN.handle}/{put.rsplit('/', 1)[1]}"

    def _refused(self, connection: psycopg.Connection[Any], statement: str, parameters: Sequence[Any]) -> None:
        who = connection.info.user
        self._stage.statement(who, _shown(statement, parameters))
        try:
            connection.execute(sql.SQL(statement), parameters or None)
        except errors.InsufficientPrivilege as denied:
            self._stage.result(f"denied: {denied.diag.message_primary}", DENIED)
            self._stage.result(f"        {denied.diag.message_detail}", DENIED)
            return
        raise VerificationError("demo.story", f"{who} read what no rule lets them read.")

    def _ask(
        self, connection: psycopg.Connection[Any], who: str, statement: str, parameters: Sequence[Any] = ()
    ) -> None:
        self._stage.statement(who, _shown(statement, parameters))
        # The demo's own statements, with their values as parameters.
        query = sql.SQL(statement)
        cursor = connection.execute(query, parameters or None, prepare=bool(parameters))
        rows = cursor.rowcount
        said = "1 row" if rows == 1 else f"{rows} rows"
        if cursor.description and rows == 1:
            said += ": " + ", ".join(str(value) for value in cursor.fetchone() or ())
        self._stage.result(said, ALLOWED)

    def _command(self, who: str, arguments: list[str], shown: str = "") -> dict[str, Any]:
        quoted = (f'"{a}"' if " " in a else a for a in arguments)
        self._stage.command(who, shown or " ".join(quoted))
        result: dict[str, Any] = self._site.run(*arguments, "--json", token=self._tokens[who]).json()
        return result

    @contextmanager
    def _connected(self, who: str) -> Iterator[psycopg.Connection[Any]]:
        connection = psycopg.connect(
            host="127.0.0.1",
            port=self._site.gateway_port,
            dbname="clinic",
            user=who,
            password=self._tokens[who],
            application_name="notebook",
            connect_timeout=_CONNECT_TIMEOUT_S,
            autocommit=True,
        )
        try:
            yield connection
        finally:
            connection.close()


def make_tokens(site: Site) -> dict[str, str]:
    """A personal token for each of the cast. Mara makes the one of the data office's program: she answers for it."""
    tokens = {
        person.handle: str(site.run("token", "create", person.handle, "--json").json()["token"]) for person in EVERYBODY
    }
    made = site.run(
        "token", "create", NIGHTLY.handle, "--label", "the nightly report", "--json", token=tokens[MARA.handle]
    )
    return {**tokens, NIGHTLY.handle: str(made.json()["token"])}


def _shown(statement: str, parameters: Sequence[Any]) -> str:
    if not parameters:
        return statement
    for number in range(1, len(parameters) + 1):
        statement = statement.replace("%s", f"${number}", 1)
    return f"{statement}   [{', '.join(repr(value) for value in parameters)}]"
