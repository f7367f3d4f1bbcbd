"""Playbooks of an attacker with a valid token: what the record says is what ran, nothing overtakes it, nothing hangs."""

from __future__ import annotations

from gateway_stage import Stage

from affidavit.capture.gateway.rendering import Capture
from affidavit.limits import HOLD_BYTES_MAX
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as frontend

READY = backend.encode_ready_for_query(codes.IDLE)
IN_TRANSACTION = backend.encode_ready_for_query(codes.IN_TRANSACTION)
ROW = backend.encode_data_row((b"7",))
COLUMN = backend.encode_row_description((backend.Column("id", 16384, 1, 23, 4, -1, 0),))
FAILURE = notices.error("ERROR", "42601", "syntax error")
COPY_IN = backend.encode_copy_response(codes.COPY_IN_RESPONSE, backend.CopyResponse(0, (0,)))
SYNC = frontend.SYNC
SELECT = "SELECT id FROM patients"


def done(tag: str) -> bytes:
    return backend.encode_command_complete(tag)


def query(text: str) -> bytes:
    return frontend.encode_query(text.encode())


def parse(text: str, name: str = "") -> bytes:
    return frontend.encode_parse(frontend.Parse(name.encode(), text.encode(), ()))


def bind(statement: str = "", portal: str = "") -> bytes:
    return frontend.encode_bind(frontend.Bind(portal.encode(), statement.encode(), (), (), ()))


def execute(portal: str = "") -> bytes:
    return frontend.encode_execute(frontend.Execute(portal.encode(), 0))


def statements(stage: Stage) -> list[str]:
    """The texts of all statements on record."""
    return [body["action"]["statement"] for body in stage.log.bodies() if "action" in body]


def test_a_late_confirmation_does_not_bring_back_what_the_unnamed_statement_meant() -> None:
    stage = Stage()
    stage.client(parse("SELECT 1"), parse("DELETE FROM visits"))
    stage.server(backend.PARSE_COMPLETE)
    stage.client(bind(), execute(), SYNC)
    stage.log.seal_all()
    assert ["DELETE FROM visits"] == statements(stage)


def test_a_skipped_pipeline_of_two_parses_leaves_the_meaning_from_before_both() -> None:
    stage = Stage()
    stage.client(parse("DELETE FROM visits"), SYNC)
    stage.server(backend.PARSE_COMPLETE, READY)
    stage.client(parse("SELECT 1 FROM nowhere", "x"), parse("SELECT 1"), parse("SELECT 2"), SYNC)
    stage.server(FAILURE, READY)
    stage.log.seal_all()
    stage.client(bind(), execute(), SYNC)
    stage.log.seal_all()
    assert "DELETE FROM visits" == statements(stage)[-1]


def test_a_late_confirmation_does_not_bring_back_a_name_that_sql_took() -> None:
    stage = Stage()
    stage.client(parse("SELECT 1", "s"), SYNC, query("DEALLOCATE s; PREPARE s AS DELETE FROM visits"))
    stage.log.seal_all()
    stage.server(backend.PARSE_COMPLETE, READY, done("DEALLOCATE"), done("PREPARE"), READY)
    stage.log.seal_all()
    stage.client(bind("s"), execute(), SYNC)
    [intent] = stage.log.seal()
    assert ("access.intent", "admin") == (intent.kind, intent.action)


def test_a_portal_that_sql_declared_anew_is_unknown() -> None:
    stage = Stage()
    stage.client(query("BEGIN"))
    stage.log.seal_all()
    stage.server(done("BEGIN"), IN_TRANSACTION)
    stage.client(parse("SELECT 1"), bind(portal="c"), SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, IN_TRANSACTION)
    stage.log.seal_all()
    for text, tag in (("CLOSE c", "CLOSE CURSOR"), ("DECLARE c CURSOR FOR SELECT id FROM patients", "DECLARE CURSOR")):
        stage.client(query(text))
        stage.log.seal_all()
        stage.server(done(tag), IN_TRANSACTION)
        stage.log.seal_all()
    stage.client(execute("c"), SYNC)
    [intent] = stage.log.seal()
    assert ("access.intent", "admin") == (intent.kind, intent.action)


def test_fetch_of_a_bound_portal_is_refused() -> None:
    """It would run the DELETE, and no record would hold its text."""
    stage = Stage()
    stage.client(parse("DELETE FROM visits RETURNING id"), bind(portal="c"), query("FETCH ALL FROM c"))
    assert b"FETCH" not in stage.to_server()
    assert [] == stage.log.waiting


def test_names_behind_a_change_of_the_search_path_are_not_resolved_even_unanswered() -> None:
    stage = Stage()
    stage.client(query("SET search_path TO other"), query(SELECT))
    stage.log.seal_all()
    stage.server(done("SET"), READY, COLUMN, ROW, done("SELECT 1"), READY)
    stage.log.seal_all()
    tables = [body["action"]["tables"] for body in stage.log.bodies() if "action" in body]
    assert [{"schema": "?", "name": "patients", "action": "read"}] == tables[-1]


def test_names_behind_a_change_of_the_search_path_in_the_same_text_are_not_resolved() -> None:
    stage = Stage()
    stage.client(query(f"SET search_path TO other; {SELECT}"))
    stage.log.seal_all()
    assert [{"schema": "?", "name": "patients", "action": "read"}] == stage.log.bodies()[1]["action"]["tables"]


def test_a_prepared_statement_resolves_its_names_again_after_the_search_path_changed() -> None:
    stage = Stage()
    stage.client(parse(SELECT, "s"), SYNC)
    stage.server(backend.PARSE_COMPLETE, READY)
    stage.client(query("SELECT set_config('search_path', 'other', false)"))
    stage.log.seal_all()
    stage.server(COLUMN, ROW, done("SELECT 1"), READY)
    stage.log.seal_all()
    stage.client(bind("s"), execute(), SYNC)
    stage.server(backend.BIND_COMPLETE, ROW, done("SELECT 1"), READY)
    stage.log.seal_all()
    tables = [body["action"]["tables"] for body in stage.log.bodies() if "action" in body]
    assert [{"schema": "?", "name": "patients", "action": "read"}] == tables[-1]


def test_under_another_encoding_only_ascii_is_read() -> None:
    """In SJIS the last byte of the first letter and the backslash are one letter, so the string ends at once."""
    stage = Stage()
    stage.client(query("SET client_encoding TO 'SJIS'"), query("SELECT E'あ\\' ; DELETE FROM visits; --'"))
    stage.log.seal_all()
    assert ["session", "admin"] == [draft.action for _, draft in stage.log.sealed]


def test_saying_utf8_again_changes_nothing() -> None:
    stage = Stage()
    stage.client(query("SET client_encoding TO 'UTF8'"), query("SELECT 'é'"))
    stage.log.seal_all()
    stage.server(done("SET"), READY, COLUMN, ROW, done("SELECT 1"), READY)
    stage.log.seal_all()
    assert "read" == [draft.action for _, draft in stage.log.sealed if draft.kind == "access"][-1]


def test_two_held_answers_survive_one_change_of_state() -> None:
    stage = Stage()
    stage.client(query(SELECT), query(SELECT))
    answer = COLUMN + ROW + done("SELECT 1") + READY
    stage.server(answer, answer)
    stage.log.refuse("conflict", 9)
    stage.log.refuse("conflict", 9)
    while stage.refreshing:
        stage.refreshed()
    stage.log.seal_all()
    assert answer + answer == stage.to_client()
    assert 2 == len(stage.log.sealed)


def test_a_new_view_does_not_let_messages_overtake_an_intent() -> None:
    stage = Stage()
    stage.client(query(SELECT), query("DELETE FROM visits"), query("SELECT 2"))
    stage.server(COLUMN, ROW, done("SELECT 1"), READY)
    assert query(SELECT) == stage.to_server()
    drafts, sealed = stage.log.waiting.pop(0)  # the intent
    assert "access.intent" == drafts[0].kind
    stage.log.refuse("conflict", 9)  # the read
    stage.refreshed()
    assert b"" == stage.to_server()
    stage.log.waiting.insert(0, (drafts, sealed))
    stage.log.seal()
    assert query("DELETE FROM visits") + query("SELECT 2") == stage.to_server()


def test_a_client_that_leaves_at_a_change_of_state_leaves_no_gap() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(COLUMN, ROW, done("SELECT 1"), READY)
    stage.session.client_lost()
    stage.log.refuse("conflict", 9)
    assert not stage.ended
    stage.refreshed()
    stage.log.seal_all()
    assert [("access", "allow", "ok")] == stage.log.kinds()
    assert stage.ended


def test_without_a_new_view_the_session_still_ends() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(COLUMN, ROW, done("SELECT 1"), READY)
    stage.session.client_lost()
    stage.log.refuse("conflict", 9)
    stage.refreshing.pop(0)[0].not_viewed("refused by the test")
    assert stage.ended


def test_an_intent_that_is_sealed_after_the_end_does_not_run() -> None:
    for leave in (Stage.client, None):
        stage = Stage()
        stage.client(query("DELETE FROM visits"))
        if leave is None:
            stage.session.client_lost()
        else:
            stage.client(b"\xff\xff\xff\xff\xff\xff")
        stage.log.seal_all()
        assert [("access.intent", "allow", None), ("access.outcome", None, "none")] == stage.log.kinds()
        assert b"DELETE" not in stage.to_server()
        assert stage.ended


def test_an_intent_that_finds_the_server_in_copy_ends_the_session_and_nothing_else() -> None:
    """Nothing may be raised into the log's own loop: other sessions wait there for their answers."""
    stage = Stage()
    stage.client(query("COPY visits FROM STDIN"))
    stage.log.seal()
    stage.client(query("DELETE FROM visits"))
    stage.server(COPY_IN)
    stage.log.seal_all()
    outcomes = sorted(d.outcome for _, d in stage.log.sealed if d.kind == "access.outcome")
    assert ["none", "unknown"] == outcomes
    assert b"C08P01\x00" in stage.to_client()
    assert stage.ended


def test_what_waits_behind_an_intent_is_bounded() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"), query("SELECT '" + "x" * HOLD_BYTES_MAX + "'"))
    assert stage.client_channel.paused
    stage.log.seal()
    assert stage.log.waiting or not stage.client_channel.paused
    stage.log.seal_all()
    assert not stage.client_channel.paused


def test_a_commit_that_fails_at_sync_is_on_record() -> None:
    stage = Stage()
    stage.client(parse("DELETE FROM visits"), bind(), execute(), SYNC)
    stage.log.seal()
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, done("DELETE 3"), FAILURE, READY)
    stage.log.seal_all()
    assert ("transaction", None, "none") == stage.log.kinds()[-1]
    assert "rolled_back" == stage.log.bodies()[-1]["end"]


def test_a_portal_described_behind_its_execute_shows_its_data_subjects() -> None:
    stage = Stage(keys={(16384, 1): "public.patients.id"})
    describe = frontend.encode_describe(frontend.Target(codes.PORTAL, b""))
    stage.client(parse(SELECT), bind(), describe, execute(), SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, COLUMN, ROW, done("SELECT 1"), READY)
    stage.log.seal()
    assert ["7"] == [value["value"] for value in stage.log.bodies()[0]["data_subjects"]["values"]]


def test_rows_that_nobody_described_may_name_more_data_subjects() -> None:
    stage = Stage(keys={(16384, 1): "public.patients.id"})
    stage.client(parse(SELECT), bind(), execute(), SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, ROW, done("SELECT 1"), READY)
    stage.log.seal()
    assert {"values": [], "overflow": True} == stage.log.bodies()[0]["data_subjects"]


def test_a_row_too_large_to_look_into_is_counted_and_said() -> None:
    stage = Stage(capture=Capture("full", "full", "rows", 5), keys={(16384, 1): "public.patients.id"})
    stage.client(query(SELECT))
    stage.server(COLUMN, ROW, backend.encode_data_row((b"x" * (HOLD_BYTES_MAX + 1),)), done("SELECT 2"), READY)
    stage.log.seal_all()
    body = stage.log.bodies()[-1]
    assert (2, True) == (body["result"]["rows"], body["result"]["captured_overflow"])
    assert body["data_subjects"]["overflow"]


def test_a_text_that_grows_beyond_a_body_when_escaped_is_still_recorded() -> None:
    """Rows under `after` have left by then: a record that cannot be made would be a read without one."""
    stage = Stage(read="after", capture=Capture("full", "full", "rows", 5))
    stage.client(query(f"SELECT id FROM patients WHERE name = '{chr(1) * 16_000}'"))
    stage.server(COLUMN, backend.encode_data_row((b"\x01" * 16_000,)))
    stage.server(done("SELECT 1"), READY)
    stage.log.seal_all()
    assert [("access", "allow", "ok")] == stage.log.kinds()
    assert stage.log.bodies()[0]["action"]["truncated"]
    assert not stage.session.closing


def test_an_outcome_that_grows_beyond_a_body_when_escaped_is_still_recorded() -> None:
    stage = Stage(read="before_action", capture=Capture("full", "full", "rows", 5))
    stage.client(query(SELECT))
    stage.log.seal()
    stage.server(COLUMN, backend.encode_data_row((b"\x01" * 16_000,)), done("SELECT 1"), READY)
    stage.log.seal_all()
    assert [("access.intent", "allow", None), ("access.outcome", None, "ok")] == stage.log.kinds()


def test_what_is_sent_behind_an_answered_error_runs_as_little_as_the_server_runs_it() -> None:
    """The server skips to the next Sync: the later Parse gives the name no meaning, the query has no effect."""
    stage = Stage()
    stage.client(parse("DELETE FROM visits"), SYNC, bind("nowhere"))
    stage.server(backend.PARSE_COMPLETE, READY, FAILURE)
    stage.client(parse("SELECT 1"), query("DELETE FROM patients"), SYNC)
    stage.server(READY)
    stage.log.seal_all()
    stage.client(bind(), execute(), SYNC)
    stage.log.seal_all()
    assert "DELETE FROM visits" == statements(stage)[-1]
    assert 1 == len(stage.log.sealed)


def test_an_intent_that_is_sealed_while_the_server_skips_did_not_run() -> None:
    stage = Stage()
    stage.client(bind("nowhere"), query("DELETE FROM patients"), SYNC)
    stage.server(FAILURE)
    stage.log.seal_all()
    assert [("access.intent", "allow", None), ("access.outcome", None, "none")] == stage.log.kinds()
    assert b"DELETE" not in stage.to_server()


def test_a_name_closed_and_taken_again_in_one_pipeline_is_known() -> None:
    stage = Stage()
    close = frontend.encode_close(frontend.Target(codes.STATEMENT, b"s"))
    stage.client(parse("SELECT 1", "s"), close, parse("DELETE FROM visits", "s"), bind("s"), execute(), SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.CLOSE_COMPLETE, backend.PARSE_COMPLETE)
    stage.log.seal_all()
    assert ["DELETE FROM visits"] == statements(stage)
