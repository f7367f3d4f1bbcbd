"""The checks: each made to hold and to fail on a real log."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from office import ORIGIN, PEOPLE, Office, office

from affidavit.cli.client import Client
from affidavit.compose.serving import serving
from affidavit.config import Config, OutsideConfig, load_config, render_config
from affidavit.durable import OsDisk
from affidavit.errors import Corruption
from affidavit.ledger.guard import PublishedTree, check_continues
from affidavit.state.policy import observe_all
from affidavit.tlog.checkpoint import Checkpoint


def checks(desk: Office) -> dict[str, tuple[bool, str]]:
    return {item["check"]: (item["holds"], item["detail"]) for item in desk.admin.get("/v1/ready")["checks"]}


def test_people_without_settings_are_named(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        assert checks(desk)["user settings"] == (
            False,
            "3 identities without settings of their own, so captured at the fullest level: ana, root and theo.",
        )
        desk.apply({f"settings/user/{who}": {"capture.statement": "full"} for who in ("ana", "root", "theo")})
        assert checks(desk)["user settings"][0] is True


def test_the_observe_policy_is_found_under_any_name(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        assert checks(desk)["policy"][0] is True
        desk.apply({"policy/innocent": observe_all()})
        holds, detail = checks(desk)["policy"]
        assert (holds, "policy/innocent" in detail) == (False, True)


def test_a_claimed_approval_counts_against_until_what_it_put_is_gone(tmp_path: Path) -> None:
    wish = {"who": "root", "actions": ["read"], "resource": "clinic", "seconds": 60, "reason": "r", "claimed": ["boss"]}
    with office(tmp_path) as desk:
        desk.apply({"system/clinic": {"kind": "postgresql"}})
        change = desk.admin.post("/v1/grants", wish)["change"]
        holds, detail = checks(desk)["approvals"]
        assert (holds, f"record {change} (boss)" in detail) == (False, True)
        name = desk.live.snapshot().names("grant/")[0]
        desk.apply({name: None})
        assert checks(desk)["approvals"][0] is True


def keep_outside(folder: Path) -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        config = load_config(root)
        text = render_config(Config(config.origin, config.server, (), (OutsideConfig(folder),)), root)
        (root / "affidavit.toml").write_text(text)

    return prepare


def test_checkpoints_outside_are_missed_and_then_seen(tmp_path: Path) -> None:
    with office(tmp_path / "one") as desk:
        assert checks(desk)["checkpoint outside"][0] is False
    outside = tmp_path / "outside"
    (tmp_path / "two").mkdir()
    with office(tmp_path / "two", keep_outside(outside)) as desk:
        holds, detail = checks(desk)["checkpoint outside"]
        assert (holds, "so the log is unguarded: There is no folder" in detail) == (False, True)
        outside.mkdir()
        deadline = time.monotonic() + 30
        while not checks(desk)["checkpoint outside"][0] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert checks(desk)["checkpoint outside"][0] is True
        kinds = [record.header.kind for record in desk.ledger.reader().records(0, desk.ledger.size)]
    assert kinds.count("log.gap") == 1


def test_a_log_put_back_to_an_earlier_time_is_not_written_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with office(tmp_path, keep_outside(outside)) as desk:
        root = desk.root
    shutil.copytree(root, tmp_path / "old", ignore=shutil.ignore_patterns("*.sock"))
    with serving(root, writes=True) as path:
        client = Client(path, None, server_runs=False)
        assert client.get("/v1/status")["origin"] == ORIGIN
        client.close()
    assert (outside / "checkpoint").exists()
    with pytest.raises(Corruption) as refused, serving(tmp_path / "old", writes=True):
        pass
    assert refused.value.code == "fork.behind"
    with serving(root, writes=True):
        pass


def test_a_log_that_was_rewritten_is_not_written_to(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        published = desk.ledger.publish_now()
        log = desk.root / "log"
        tree = PublishedTree(OsDisk(), log, published.size)
        check_continues(tree, published, published, "there")
        other = Checkpoint(ORIGIN, 3, bytes(32))
        with pytest.raises(Corruption) as refused:
            check_continues(tree, published, other, "there")
        assert refused.value.code == "fork.other"
