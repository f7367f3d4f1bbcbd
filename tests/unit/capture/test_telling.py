"""What people in an open session are told when a context has become another."""

from __future__ import annotations

from pathlib import Path

from gateway_stage import Stage
from office import PEOPLE, Office, office

from affidavit.capture.watch.telling import what_changed
from affidavit.limits import HOLD_BYTES_MAX
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.framing import message


def told(desk: Office, change: dict) -> list[str]:
    ana = desk.live.identity_by_handle("ana") or ""
    before = desk.live.context(ana, "clinic").content
    desk.apply(change)
    return what_changed(before, desk.live.context(ana, "clinic").content)


def test_each_change_is_said_in_a_line(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        assert [
            "capture.parameters: full (unconfigured) until now, digest (user) from now on.",
            "You have settings of your own now.",
        ] == [
            line for line in told(desk, {"settings/user/ana": {"capture.parameters": "digest"}})
            if "parameters" in line or "own" in line
        ]  # fmt: skip
        policy = {"text": 'permit (principal, action, resource == System::"clinic");'}
        assert ["policy/new applies to you now."] == told(desk, {"policy/new": policy})
        # What an application reports is neither recorded of her nor allowed to her by that.
        desk.apply({"source/ward": {"kind": "application"}})
        assert [] == told(desk, {"reported/ana/ward": {"app.theme": "dark"}})
        assert ["policy/new does not apply to you any more."] == told(desk, {"policy/new": None})
        assert [
            "The group analysts does not apply to you any more.",
            "policy/analysts does not apply to you any more.",
        ] == told(desk, {"membership/ana/analysts": None})


def test_what_concerns_others_is_not_said(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        assert [] == told(desk, {"settings/user/theo": {"capture.parameters": "digest"}, "group/others": {}})


def test_a_notice_goes_between_two_messages_also_of_a_row_in_pieces() -> None:
    stage = Stage(read="after")
    stage.client(frontend.encode_query(b"SELECT id FROM patients"))
    columns = backend.encode_row_description((backend.Column("id", 16384, 1, 25, -1, -1, 0),))
    row = message(codes.DATA_ROW, b"\x00\x01" + (HOLD_BYTES_MAX * 2).to_bytes(4, "big") + b"x" * (HOLD_BYTES_MAX * 2))
    said = notices.notice("NOTICE", "00000", "something has changed")
    stage.server(columns, row[:70_000])
    stage.session.answers.tell(said)
    first = stage.to_client()
    assert said not in first
    stage.server(row[70_000:], backend.encode_command_complete("SELECT 1"), backend.encode_ready_for_query(codes.IDLE))
    stage.log.seal_all()
    whole = first + stage.to_client()
    assert whole.startswith(columns + row)
    assert 1 == whole.count(said)
    stage.session.answers.tell(said)
    assert said == stage.to_client()


def test_a_notice_does_not_overtake_an_answer_that_is_held() -> None:
    stage = Stage()
    stage.client(frontend.encode_query(b"SELECT id FROM patients"))
    answer = backend.encode_command_complete("SELECT 0") + backend.encode_ready_for_query(codes.IDLE)
    stage.server(answer)
    said = notices.notice("NOTICE", "00000", "something has changed")
    stage.session.answers.tell(said)
    assert b"" == stage.to_client()
    stage.log.seal_all()
    assert answer + said == stage.to_client()
