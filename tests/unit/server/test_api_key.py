"""Rotating the log's key through the real API and the real command, and verifying from the first key on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgercase import AwaySigner
from office import PEOPLE, Office, office, opened

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.durable import OsDisk
from affidavit.errors import Denied, InvalidInput
from affidavit.ledger.keys import Secrets
from affidavit.tlog.keys import ED25519, ML_DSA_44, VerifierKey
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        yield one


def failed(verdict: Verdict) -> list[str]:
    return [f"{check.number} {one.code}: {one.message}" for check in verdict.checks for one in check.findings]


def keys_of(texts: list[str]) -> list[VerifierKey]:
    return [VerifierKey.parse(text) for text in texts]


def test_an_administrator_rotates_and_the_log_goes_on(desk: Office) -> None:
    before = desk.admin.get("/v1/key")
    assert [(0, None)] == [(epoch["after"], epoch["last"]) for epoch in before["keys"]]
    answer = desk.admin.post("/v1/key/rotation", {"reason": "the laptop was lost", "post_quantum": True})
    assert [ED25519, ML_DSA_44] == [key.type for key in keys_of(answer["keys"])]
    record = desk.admin.get(f"/v1/records/{answer['index']}")
    assert ("log.key", "admin", "allow") == tuple(record["header"][name] for name in ("kind", "action", "decision"))
    assert desk.admin.get("/v1/status")["you"]["identity"] == record["header"]["actor"]
    assert ("the laptop was lost", "uid") == (record["body"]["reason"], record["body"]["via"]["method"])
    desk.apply({"group/after": {}})
    second = desk.admin.post("/v1/key/rotation", {"reason": "again"})
    assert 2 == len(second["keys"]), "as before: both"
    after = desk.admin.get("/v1/key")["keys"]
    assert [before["keys"][0]["keys"], answer["keys"], second["keys"]] == [epoch["keys"] for epoch in after]
    assert [answer["index"], second["index"], None] == [epoch["last"] for epoch in after]
    assert second["keys"][0] == desk.admin.get("/v1/status")["verifier_key"]


def test_who_may_not_administer_the_log_may_not_rotate(desk: Office) -> None:
    ana = desk.client(desk.token("ana"))
    size = desk.ledger.size
    for reason in ("", "  ", "x" * 2_000):
        with pytest.raises(InvalidInput):
            desk.admin.post("/v1/key/rotation", {"reason": reason})
    assert size == desk.ledger.size
    before = desk.admin.get("/v1/key")
    with pytest.raises(Denied, match=f"Policy does not let you rotate the log's key; the attempt is record {size}"):
        ana.post("/v1/key/rotation", {"reason": "mine now"})
    assert before == desk.admin.get("/v1/key")
    record = desk.admin.get(f"/v1/records/{size}")
    said = tuple(record["header"][name] for name in ("kind", "actor", "action", "decision", "outcome"))
    assert ("log.key", desk.live.resolve("ana"), "admin", "deny", "none") == said
    assert ("mine now", "token") == (record["body"]["reason"], record["body"]["via"]["method"])
    assert "ana was not allowed to rotate the log's key (“mine now”)" in record["sentence"]
    assert "deny" == desk.admin.get(f"/v1/records/{size}/explain")["again"]["decision"]


def test_a_denied_rotation_holds_in_every_verdict_and_stops_no_start(tmp_path: Path) -> None:
    """Also where its record stands right behind the checkpoint, as the record of a rotation does."""
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        ana, root = desk.client(desk.token("ana")), desk.root
        desk.ledger.publish_now()
        behind = desk.ledger.size
        away = AwaySigner(desk.ledger.verifiers)
        signer, desk.ledger._publisher.signer = desk.ledger._publisher.signer, away
        with pytest.raises(Denied):
            ana.post("/v1/key/rotation", {"reason": "mine now"})
        assert (behind, behind + 1) == (desk.ledger.published.size, desk.ledger.size)
        kept = tmp_path / "killed"
        shutil.copytree(root, kept, ignore=shutil.ignore_patterns("*.sock"))
        desk.ledger._publisher.signer = signer
        index = desk.admin.post("/v1/key/rotation", {"reason": "yearly"})["index"]
        assert behind < index
    for folder in (root, kept):
        with opened(folder) as again:
            assert behind < again.ledger.size
        secrets = Secrets.load(OsDisk(), folder / "secrets")
        verdict = verify(open_archive(str(folder)), secrets.verifiers, secrets.body_keys_by_id)
        assert [] == failed(verdict)


def test_a_denial_that_was_none_is_found_by_deciding_again(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from affidavit.server import rotating

    ana = desk.client(desk.token("ana"))
    real, of_ana = rotating.decide_log_admin, desk.live.resolve("ana")
    monkeypatch.setattr(rotating, "decide_log_admin", lambda state, actor, at: real(state, of_ana, at))
    with pytest.raises(Denied, match="the attempt is record"):
        desk.admin.post("/v1/key/rotation", {"reason": "yearly"})
    desk.ledger.publish_now()
    secrets = Secrets.load(OsDisk(), desk.root / "secrets")
    verdict = verify(open_archive(str(desk.root)), secrets.verifiers, secrets.body_keys_by_id)
    assert ["key.decided"] == [one.code for check in verdict.checks for one in check.findings]
    ana.close()


def output(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert status == run([*arguments, "--json"]), capsys.readouterr().err
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_the_whole_way_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "log")
    made = output(capsys, "init", data, "--origin", "log.example/keys", "--post-quantum", "--handle", "ana")
    first = keys_of(made["verifier_keys"])  # type: ignore[arg-type]
    assert [ED25519, ML_DSA_44] == [key.type for key in first]
    rotated = output(capsys, "key", "rotate", "--data", data, "--reason", "yearly", "--no-post-quantum")
    assert 1 == len(rotated["keys"])  # type: ignore[arg-type]
    shown = output(capsys, "key", "show", "--data", data)
    assert rotated["keys"] == shown["keys"][-1]["keys"]  # type: ignore[index]
    secrets = Secrets.load(OsDisk(), tmp_path / "log" / "secrets")
    for pinned in (first, first[:1], first[1:], secrets.verifiers):
        verdict = verify(open_archive(data), pinned, secrets.body_keys_by_id)
        assert [] == failed(verdict)
        assert verdict.holds
    changes = next(check for check in verdict.checks if check.number == 15)
    assert "passed" == changes.status
    assert {"key.line_missing"} == {one.split(" ")[1].rstrip(":") for one in failed(_stripped(data, first))}


def _stripped(data: str, keys: list[VerifierKey]) -> Verdict:
    """The kept checkpoint of the first keys without its second line, given as kept elsewhere."""
    kept = sorted((Path(data) / "checkpoints").iterdir())[0].read_bytes()
    one_line = kept[: kept.rindex("— ".encode())]
    return verify(open_archive(data), keys, {}, [one_line], only="structure")


def test_a_rotation_by_somebody_who_may_not_is_found_by_deciding_again(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's own check is taken out; the verifier's is not."""
    from affidavit.server import rotating

    ana = desk.client(desk.token("ana"))
    real = rotating.decide_log_admin
    administrator = desk.admin.get("/v1/status")["you"]["identity"]
    monkeypatch.setattr(rotating, "decide_log_admin", lambda state, actor, at: real(state, administrator, at))
    index = ana.post("/v1/key/rotation", {"reason": "mine now"})["index"]
    desk.ledger.publish_now()
    root = desk.ledger._layout.root
    secrets = Secrets.load(OsDisk(), root / "secrets")
    verdict = verify(open_archive(str(root)), secrets.verifiers, secrets.body_keys_by_id)
    assert [(15, "key.decided", index)] == [
        (check.number, one.code, one.index) for check in verdict.checks for one in check.findings
    ]
