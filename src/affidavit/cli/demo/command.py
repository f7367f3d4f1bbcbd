"""`affidavit demo`: from nothing to a verdict in under a minute, with a real PostgreSQL and real clients."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from affidavit.cli.client import listens
from affidavit.cli.demo.cast import ANA, EVERYBODY, TWO_PEOPLE, write_declaration, write_policies
from affidavit.cli.demo.clinic import Clinic, load_clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import Site
from affidavit.cli.demo.stage import ALLOWED, CHANGED, DENIED, Stage
from affidavit.cli.demo.tamper import alter_moment
from affidavit.config import SOCKET_NAME
from affidavit.errors import InvalidInput, Unavailable, VerificationError

DEFAULT_FOLDER = Path("demo-data")
_MARKER = ".affidavit-demo"
_STATUS_FAILED = 1
_STATUS_NOT_READY = 1
_FINDINGS_SHOWN = 4


def demo(*, folder: Path = DEFAULT_FOLDER, keep: bool = False) -> int:
    """Play an afternoon at a small clinic and ask what happened.

    Parameters
    ----------
    folder
        Where everything of the demo goes. An earlier demo there is replaced; anything else is left alone.
    keep
        Keep everything running afterwards, with a psql line to try, until Ctrl-C.
    """
    _check_client()
    started = time.monotonic()
    stage = Stage()
    root = _empty(folder.absolute())
    # Ended from outside, the demo still stops the servers that it started.
    signal.signal(signal.SIGTERM, _interrupted)
    with ThrowawayPostgres() as server, Site(root / "data") as site:
        clinic = load_clinic(server)
        stage.chapter("A clinic, its database, and Affidavit in front")
        tokens = _set_up(stage, root, server, clinic, site)
        _play(stage, root, server, site, tokens)
        if keep:
            _keep(stage, site, tokens)
        site.stop()
    if not keep:
        stage.note(f"All of it took {time.monotonic() - started:.0f} seconds. Exit status 0.")
    return 0


def _check_client() -> None:
    """Raise Unavailable where psycopg is not installed: it comes with the extra `demo`."""
    if importlib.util.find_spec("psycopg") is None:
        raise Unavailable("demo.client", "The demo needs a PostgreSQL client.", "Run `pip install 'affidavit[demo]'`.")


def _set_up(stage: Stage, root: Path, server: ThrowawayPostgres, clinic: Clinic, site: Site) -> dict[str, str]:
    from affidavit.cli.demo.afternoon import make_tokens  # noqa: PLC0415 (needs psycopg)

    kind = "the system's" if server.programs.source == "system" else "PyPI's"
    stage.note(f"PostgreSQL {server.programs.version} ({kind}) runs at {server.host}:{server.port}; one shared login.")
    stage.command("you", f"init {site.folder.name} --origin clinic.example/audit")
    site.create(server, clinic)
    stage.result(f"public key: {site.verifier_key.read_text(encoding='ascii').strip()}")
    write_declaration(root / "declared", time.time_ns())
    stage.command("you", 'apply declared/ --reason "first people and rules"')
    applied = site.run("apply", str(root / "declared"), "--reason", "first people and rules", "--yes", "--json").json()
    stage.result(
        f"record {applied['change']}: {len(EVERYBODY)} people and a program, four groups, six rules, settings",
        CHANGED,
    )
    write_policies(root / "rules", TWO_PEOPLE)
    stage.command("you", 'apply rules/ --reason "nobody gives a grant alone"')
    said = site.run("apply", str(root / "rules"), "--reason", "nobody gives a grant alone", "--yes", "--json").json()
    stage.result(f"record {said['change']}: from now on a grant takes two people", CHANGED)
    stage.command("you", "up")
    site.start()
    stage.result(f"clients connect to 127.0.0.1:{site.gateway_port} instead of the database")
    stage.command("you", "token create …    (one for each of them)")
    return make_tokens(site)


def _play(stage: Stage, root: Path, server: ThrowawayPostgres, site: Site, tokens: dict[str, str]) -> None:
    from affidavit.cli.demo.afternoon import Play  # noqa: PLC0415 (needs psycopg)
    from affidavit.cli.demo.question import ask  # noqa: PLC0415 (only the demo needs it)

    asked = Play(stage, site, tokens).run()
    log = root / "postgresql.log"
    shutil.copyfile(server.log_path, log)
    ask(stage, site, log, asked.access, asked.change)
    _verify(stage, site)
    _tamper(stage, root, site, asked.access)
    _ready(stage, site)
    _where(stage, root, site)


def _verify(stage: Stage, site: Site) -> None:
    stage.chapter("Is the log whole?")
    stage.command("you", "verify data --key data/secrets/log.vkey")
    verdict = _verdict(site, site.folder, 0)
    for check in verdict["checks"]:
        style = ALLOWED if check["status"] == "passed" else ""
        stage.result(f"{check['status'].replace('_', ' '):<14} {check['name']}", style)
    scope = verdict["scope"]
    stage.result(f"It holds: {scope['size']} records up to {scope['last_record_at']}.", ALLOWED)
    stage.note(f"What this cannot show: {scope['cannot_show'][0]}")


def _tamper(stage: Stage, root: Path, site: Site, index: int) -> None:
    stage.chapter("One byte of a copy is altered: the time of Ben's access, by a minute")
    altered = alter_moment(site.folder, root / "altered", index)
    shown = altered.path.relative_to(root)
    stage.note(f"{shown}, byte {altered.offset}: {chr(altered.before)!r} becomes {chr(altered.after)!r}")
    stage.command("you", "verify altered --key data/secrets/log.vkey")
    verdict = _verdict(site, altered.copy, _STATUS_FAILED)
    findings = [finding for check in verdict["checks"] for finding in check["findings"]]
    if not any(finding["index"] == index for finding in findings):
        raise VerificationError("demo.unnoticed", f"The altered record {index} was not named.")
    named = sorted(findings, key=lambda finding: finding["index"] != index)
    for finding in named[:_FINDINGS_SHOWN]:
        stage.result(f"{finding['where']}: {finding['message']}", DENIED)
    if len(named) > _FINDINGS_SHOWN:
        stage.result(f"and {len(named) - _FINDINGS_SHOWN} more that follow from it", DENIED)


def _verdict(site: Site, folder: Path, status: int) -> dict[str, Any]:
    said = site.run("verify", str(folder), "--key", str(site.verifier_key), "--json", expect=(0, 1, 2, 3))
    if said.status != status:
        raise VerificationError(
            "demo.verdict", f"verify ended with {said.status} instead of {status}: {(said.output + said.errors)[-800:]}"
        )
    verdict: dict[str, Any] = said.json()
    return verdict


def _ready(stage: Stage, site: Site) -> None:
    stage.chapter("Would you rely on it already?")
    stage.command("you", "ready")
    said = site.run("ready", "--json", expect=(0, _STATUS_NOT_READY)).json()
    for check in said["checks"]:
        stage.result(
            f"{'holds' if check['holds'] else 'lacks'}  {check['detail']}", ALLOWED if check["holds"] else DENIED
        )
        if not check["holds"]:
            stage.note(f"              {check['fix']}")


def _where(stage: Stage, root: Path, site: Site) -> None:
    stage.chapter("Where everything lies")
    stage.facts(
        (
            ("the log, as it may be published", str(site.folder / "log")),
            ("contents, encrypted", str(site.folder / "bodies")),
            ("keys, for their owner alone", str(site.folder / "secrets")),
            ("rules and people, as declared", str(root / "declared")),
            ("PostgreSQL's own log", str(root / "postgresql.log")),
            ("the altered copy", str(root / "altered")),
        )
    )
    stage.blank()
    stage.note(f"Look around: export AFFIDAVIT_DATA={site.folder}, then affidavit timeline | session | explain INDEX")
    stage.note("Twelve questions that reviewers ask, and the command for each: docs/howto/questions.md")


def _keep(stage: Stage, site: Site, tokens: dict[str, str]) -> None:
    stage.chapter("It keeps running. Try it")
    stage.result(f"psql 'postgresql://{ANA.handle}:{tokens[ANA.handle]}@127.0.0.1:{site.gateway_port}/clinic'")
    stage.note("Ana may read everything but public.patients. Ctrl-C ends it; the log stays.")
    try:
        status = site.wait()
    except KeyboardInterrupt:
        return
    raise Unavailable("demo.ended", f"`affidavit up` ended by itself with {status}; see {site.output_path}.")


def _empty(root: Path) -> Path:
    """The folder, empty and marked as a demo's. Raises InvalidInput where it holds something else."""
    marker = root / _MARKER
    if root.exists() and any(root.iterdir()):
        if not marker.exists():
            raise InvalidInput(
                "demo.folder", f"{root} holds something else than a demo.", "Name another with --folder, or move it."
            )
        if listens(root / "data" / SOCKET_NAME):
            raise Unavailable(
                "demo.running", f"A demo still runs in {root}.", "Stop it with Ctrl-C, or name another with --folder."
            )
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return root


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
