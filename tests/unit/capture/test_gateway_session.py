"""Playbooks: what leaves the gateway, and when, and what the log says of it."""

from __future__ import annotations

import pytest
from gateway_stage import Decider, Stage

from affidavit.capture.gateway.rendering import Capture
from affidavit.limits import HOLD_BYTES_MAX
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.framing import message

READY = backend.encode_ready_for_query(codes.IDLE)
IN_TRANSACTION = backend.encode_ready_for_query(codes.IN_TRANSACTION)
ROW = backend.encode_data_row((b"7",))
COLUMN = backend.encode_row_description((backend.Column("id", 16384, 1, 23, 4, -1, 0),))
SELECT = "SELECT id FROM patients WHERE id = 7"


def done(tag: str) -> bytes:
    return backend.encode_command_complete(tag)


def query(text: str) -> bytes:
    return frontend.encode_query(text.encode())


def parse(text: str, name: str = "") -> bytes:
    return frontend.encode_parse(frontend.Parse(name.encode(), text.encode(), ()))


def bind(name: str = "", *values: bytes) -> bytes:
    return frontend.encode_bind(frontend.Bind(b"", name.encode(), (), values, ()))


EXECUTE = frontend.encode_execute(frontend.Execute(b"", 0))
SYNC = frontend.SYNC
FAILURE = notices.error("ERROR", "42601", "syntax error")
ANSWER = COLUMN + ROW + done("SELECT 1") + READY


def forbid(action: str):
    return lambda requests, facts: all(r.action != action for r in requests)


@pytest.mark.parametrize("split", [False, True])
def test_the_answer_to_a_read_is_held_until_its_record_is_durable(split) -> None:
    stage = Stage()
    stage.client(query(SELECT), split=split)
    assert query(SELECT) == stage.to_server()
    stage.server(ANSWER, split=split)
    assert b"" == stage.to_client()
    [draft] = stage.log.seal()
    assert ("access", "allow", "ok", "before_answer") == (draft.kind, draft.decision, draft.outcome, draft.guarantee)
    assert ANSWER == stage.to_client()
    body = stage.log.bodies()[0]
    assert (SELECT, 1, "SELECT 1") == (body["action"]["statement"], body["result"]["rows"], body["result"]["tag"])


@pytest.mark.parametrize("split", [False, True])
def test_a_write_runs_only_after_its_intent_is_durable(split) -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"), split=split)
    assert b"" == stage.to_server()
    [intent] = stage.log.seal()
    assert ("access.intent", "write") == (intent.kind, intent.action)
    assert query("DELETE FROM visits") == stage.to_server()
    stage.server(done("DELETE 3"), READY, split=split)
    assert done("DELETE 3") + READY == stage.to_client()
    [outcome] = stage.log.seal()
    assert ("access.outcome", "ok", 100) == (outcome.kind, outcome.outcome, outcome.ref)
    assert 3 == stage.log.bodies()[1]["result"]["rows"]


def test_messages_behind_a_write_wait_for_its_intent() -> None:
    stage = Stage()
    stage.client(parse("DELETE FROM visits"), bind(), EXECUTE, SYNC, query("SELECT 1"))
    assert parse("DELETE FROM visits") + bind() == stage.to_server()
    stage.log.seal()
    assert EXECUTE + SYNC + query("SELECT 1") == stage.to_server()


def test_under_after_the_answer_does_not_wait() -> None:
    stage = Stage(read="after")
    stage.client(query(SELECT))
    stage.server(ANSWER)
    assert ANSWER == stage.to_client()
    [draft] = stage.log.seal()
    assert ("access", "after") == (draft.kind, draft.guarantee)


def test_a_denied_query_fails_upstream_and_names_its_record() -> None:
    stage = Stage()
    stage.allows = forbid("read")
    stage.client(query(SELECT))
    assert b"" == stage.to_server()
    [draft] = stage.log.seal()
    assert ("access", "deny", "none") == (draft.kind, draft.decision, draft.outcome)
    replaced = stage.to_server()
    assert replaced.startswith(b"Q") and b"patients" not in replaced
    stage.server(FAILURE, READY)
    answer = stage.to_client()
    assert b"C42501\x00" in answer and b"(record 100)" in answer and b"42601" not in answer
    assert answer.endswith(READY)
    stage.allows = lambda requests, facts: True
    stage.client(query(SELECT))
    assert query(SELECT) == stage.to_server()


def test_after_a_denied_statement_the_pipeline_is_skipped_to_sync() -> None:
    stage = Stage()
    stage.allows = forbid("write")
    stage.client(parse("DELETE FROM visits"), bind(), EXECUTE, SYNC, parse("SELECT 1"), bind(), EXECUTE, SYNC)
    stage.log.seal()
    sent = stage.to_server()
    assert b"DELETE" not in sent
    assert sent.endswith(SYNC + parse("SELECT 1") + bind() + EXECUTE + SYNC)
    stage.server(FAILURE, READY)
    assert b"C42501\x00" in stage.to_client()


def test_one_denial_refuses_all_statements_of_a_query() -> None:
    stage = Stage()
    stage.allows = forbid("write")
    stage.client(query("SELECT 1; DELETE FROM visits"))
    drafts = stage.log.seal()
    assert [("allow", "none"), ("deny", "none")] == [(d.decision, d.outcome) for d in drafts]
    assert b"DELETE" not in stage.to_server()


def test_one_write_makes_all_statements_intents() -> None:
    stage = Stage()
    stage.client(query("SELECT 1; DELETE FROM visits"))
    drafts = stage.log.seal()
    assert ["access.intent", "access.intent"] == [d.kind for d in drafts]
    stage.server(COLUMN, ROW, done("SELECT 1"), done("DELETE 0"), READY)
    stage.log.seal_all()
    assert ["access.outcome", "access.outcome", "transaction"] == [kind for kind, _, _ in stage.log.kinds()][2:]
    assert {"end": "committed", "accesses": [100, 101]}.items() <= stage.log.bodies()[4].items()


def test_statements_behind_a_failure_did_not_run() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits; DELETE FROM patients"))
    stage.log.seal()
    stage.server(notices.error("ERROR", "23503", "still referenced"), READY)
    stage.log.seal_all()
    assert [("access.outcome", "error"), ("access.outcome", "none")] == [(k, o) for k, _, o in stage.log.kinds()][2:4]
    assert "23503" == stage.log.bodies()[2]["result"]["sqlstate"]


def test_revoked_while_the_answer_is_held_withholds_it() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(ANSWER)
    stage.allows = forbid("read")
    stage.log.refuse("conflict", 9)
    stage.refreshed()
    [draft] = stage.log.seal()
    assert ("deny", "ok", 9) == (draft.decision, draft.outcome, draft.decided)
    assert stage.log.bodies()[0]["result"]["withheld"]
    answer = stage.to_client()
    assert ROW not in answer and b"SFATAL\x00" in answer and b"C42501\x00" in answer
    assert stage.ended


def test_from_the_end_of_its_credential_on_a_session_decides_nothing() -> None:
    stage = Stage()
    stage.until_ns = stage.clock.at + 3_600 * 1_000_000_000
    stage.session.judge.seen(stage.view(), Decider(stage))
    stage.client(query(SELECT))
    assert stage.to_server() == query(SELECT)
    stage.server(ANSWER)
    stage.log.seal_all()
    stage.clock.at = stage.until_ns - 1_000  # the next look is at the end itself
    stage.client(query(SELECT))
    assert (stage.to_server(), len(stage.refreshing)) == (b"", 1)


def test_still_allowed_under_the_newer_state_the_answer_leaves() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(ANSWER)
    stage.log.refuse("conflict", 9)
    stage.refreshed()
    [draft] = stage.log.seal()
    assert ("allow", 9) == (draft.decision, draft.decided)
    assert ANSWER == stage.to_client()


def test_an_intent_under_an_old_state_is_decided_again() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"))
    stage.allows = forbid("write")
    stage.log.refuse("conflict", 9)
    stage.refreshed()
    [draft] = stage.log.seal()
    assert ("access", "deny") == (draft.kind, draft.decision)
    assert b"DELETE" not in stage.to_server()


def test_a_new_state_makes_a_new_view_before_the_next_statement() -> None:
    stage = Stage()
    stage.recorded = False
    stage.index = 9
    stage.client(query(SELECT))
    assert b"" == stage.to_server()
    stage.refreshed()
    assert query(SELECT) == stage.to_server()


def test_when_the_log_cannot_write_nothing_leaves() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(ANSWER)
    stage.log.refuse("unavailable")
    answer = stage.to_client()
    assert ROW not in answer and b"C58030\x00" in answer


def test_when_the_log_cannot_write_nothing_runs() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"))
    stage.log.refuse("unavailable")
    assert b"DELETE" not in stage.to_server()
    assert b"C58030\x00" in stage.to_client()


def test_a_name_keeps_its_meaning_when_the_upstream_skipped_its_parse() -> None:
    """The unnamed statement is a DELETE; a later Parse is skipped after an error. What runs is still the DELETE."""
    stage = Stage()
    stage.client(parse("DELETE FROM visits"), SYNC)
    stage.server(backend.PARSE_COMPLETE, READY)
    stage.client(parse("SELEC nonsense", "x"), parse("SELECT 1"), SYNC, bind(), EXECUTE, SYNC)
    stage.server(FAILURE, READY)
    stage.log.seal_all()
    stage.server(backend.BIND_COMPLETE)
    stage.log.seal_all()
    intents = [b for (_, d), b in zip(stage.log.sealed, stage.log.bodies(), strict=True) if d.kind == "access.intent"]
    assert ["DELETE FROM visits"] == [b["action"]["statement"] for b in intents if "DELETE" in b["action"]["statement"]]


def test_a_taken_name_keeps_its_meaning() -> None:
    stage = Stage()
    stage.client(parse("DELETE FROM visits", "s"), SYNC)
    stage.server(backend.PARSE_COMPLETE, READY)
    stage.client(parse("SELECT 1", "s"), SYNC)
    stage.server(notices.error("ERROR", "42P05", "exists"))
    stage.server(READY)
    stage.log.seal_all()
    stage.client(bind("s"), EXECUTE, SYNC)
    [intent] = stage.log.seal()
    assert ("access.intent", "write") == (intent.kind, intent.action)


def test_a_name_prepared_in_sql_is_recorded_as_unknown() -> None:
    stage = Stage()
    stage.client(bind("elsewhere"), EXECUTE, SYNC)
    [intent] = stage.log.seal()
    assert ("access.intent", "admin") == (intent.kind, intent.action)


def test_bound_values_are_recorded() -> None:
    stage = Stage(keys={(16384, 1): "public.patients.id"})
    stage.client(parse("SELECT id FROM patients WHERE id = $1"), bind("", b"7"), EXECUTE, SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, ROW, done("SELECT 1"), READY)
    stage.log.seal()
    body = stage.log.bodies()[0]
    assert [{"value": "7", "how": "text"}] == body["action"]["parameters"]
    assert [{"table": "public.patients", "column": "id", "value": "7"}] == body["data_subjects"]["values"]


def test_data_subjects_are_seen_in_results() -> None:
    stage = Stage(keys={(16384, 1): "public.patients.id"})
    stage.client(query("SELECT id FROM patients"))
    stage.server(COLUMN, ROW, backend.encode_data_row((b"9",)), done("SELECT 2"), READY)
    [draft] = stage.log.seal()
    values = stage.log.bodies()[0]["data_subjects"]["values"]
    assert ["7", "9"] == [v["value"] for v in values]
    assert "clinic|subject|public.patients.id=9" in draft.tags


def test_an_answer_beyond_the_hold_limit_streams_after_an_intent() -> None:
    stage = Stage()
    stage.client(query("SELECT id FROM patients"))
    big = backend.encode_data_row((b"x" * 1000,))
    stage.server(COLUMN, big * (HOLD_BYTES_MAX // 1000 + 10))
    assert b"" == stage.to_client()
    assert stage.server_channel.paused
    [intent] = stage.log.seal()
    assert "access.intent" == intent.kind
    assert stage.to_client().startswith(COLUMN)
    assert not stage.server_channel.paused
    stage.server(done("SELECT 9"), READY)
    assert stage.to_client().endswith(READY)
    [outcome] = stage.log.seal()
    assert ("access.outcome", 100) == (outcome.kind, outcome.ref)


def test_upstream_closing_mid_query_is_an_unknown_outcome() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"))
    stage.log.seal()
    stage.server_channel.lost = True
    stage.session.upstream_lost()
    stage.log.seal_all()
    assert ("access.outcome", None, "unknown") in stage.log.kinds()
    assert b"C08006\x00" in stage.to_client()
    assert stage.ended


def test_a_client_that_leaves_does_not_hide_what_ran() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits"))
    stage.log.seal()
    stage.session.client_lost()
    stage.server(done("DELETE 3"), READY)
    stage.log.seal_all()
    assert ("access.outcome", None, "ok") in stage.log.kinds()
    assert stage.ended


def test_copy_in_is_counted_and_the_early_sync_swallowed() -> None:
    stage = Stage()
    stage.client(parse("COPY visits FROM STDIN"), bind(), EXECUTE, SYNC)
    stage.log.seal()
    assert not stage.to_server().endswith(SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE)
    stage.server(backend.encode_copy_response(codes.COPY_IN_RESPONSE, backend.CopyResponse(0, (0,))))
    stage.client(frontend.encode_copy_data(b"1\tx\n"), frontend.COPY_DONE, SYNC)
    stage.server(done("COPY 1"), READY)
    stage.log.seal_all()
    assert stage.to_client().endswith(READY)
    body = stage.log.bodies()[1]
    assert (1, 4) == (body["result"]["rows"], body["result"]["received_bytes"])


def test_function_calls_are_refused() -> None:
    stage = Stage()
    stage.client(message(codes.FUNCTION_CALL, b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
    stage.server(FAILURE, READY)
    assert b"C0A000\x00" in stage.to_client()


def test_rubbish_ends_the_session() -> None:
    stage = Stage()
    stage.client(b"\xff\xff\xff\xff\xff\xff")
    assert b"C08P01\x00" in stage.to_client()
    assert stage.ended


def test_a_message_that_claims_two_gigabytes_ends_the_session() -> None:
    stage = Stage()
    stage.client(b"Q\x7f\xff\xff\xff")
    assert b"C08P01\x00" in stage.to_client()


def test_after_search_path_changed_names_are_not_resolved() -> None:
    stage = Stage()
    stage.client(query("SET search_path TO other"))
    stage.log.seal()
    stage.server(done("SET"), READY)
    stage.log.seal_all()
    stage.client(query(SELECT))
    stage.server(ANSWER)
    stage.log.seal()
    assert [{"schema": "?", "name": "patients", "action": "read"}] == stage.log.bodies()[-1]["action"]["tables"]


def test_statement_under_digest_does_not_stand_in_the_body() -> None:
    stage = Stage(capture=Capture("digest", "off", "count", 0))
    stage.client(query(SELECT))
    stage.server(ANSWER)
    [draft] = stage.log.seal()
    assert b"patients WHERE" not in (draft.body or b"")


def test_text_that_is_not_utf8_is_recorded_as_unparsed() -> None:
    stage = Stage()
    stage.client(frontend.encode_query(b"SELECT '\xff\xfe'"))
    [intent] = stage.log.seal()
    assert "admin" == intent.action
    assert not stage.log.bodies()[0]["action"]["parsed"]


def test_an_explicit_transaction_gets_its_record() -> None:
    stage = Stage()
    stage.client(query("BEGIN"))
    stage.server(done("BEGIN"), IN_TRANSACTION)
    stage.log.seal_all()
    stage.client(query("DELETE FROM visits"))
    stage.log.seal()
    stage.server(done("DELETE 1"), IN_TRANSACTION)
    stage.log.seal_all()
    stage.client(query("ROLLBACK"))
    stage.server(done("ROLLBACK"), READY)
    stage.log.seal_all()
    assert ("transaction", None, "none") == stage.log.kinds()[-1]
    assert "rolled_back" == stage.log.bodies()[-1]["end"]


def test_where_backslashes_may_escape_a_text_with_one_is_not_read() -> None:
    stage = Stage()
    stage.client(query("SELECT 'a\\'"))
    assert stage.to_server()
    stage.server(ANSWER)
    stage.log.seal()
    stage.server(backend.encode_parameter_status("standard_conforming_strings", "off"))
    stage.client(query("SELECT 'a\\'"))
    assert not stage.to_server()
    [intent] = stage.log.seal()
    assert ("access.intent", "admin") == (intent.kind, intent.action)


def test_data_subjects_in_an_array() -> None:
    stage = Stage(keys={(16384, 1): "public.patients.id"})
    stage.client(parse("SELECT name FROM patients WHERE id = ANY($1)"), bind("", b"{6,7}"), EXECUTE, SYNC)
    stage.server(backend.PARSE_COMPLETE, backend.BIND_COMPLETE, done("SELECT 0"), READY)
    stage.log.seal()
    assert ["6", "7"] == [v["value"] for v in stage.log.bodies()[0]["data_subjects"]["values"]]


def test_an_answer_to_a_statement_that_was_not_read_does_not_pass() -> None:
    stage = Stage()
    stage.client(query(SELECT))
    stage.server(COLUMN + ROW + done("SELECT 1"))
    stage.log.seal()
    assert stage.to_client()
    stage.server(COLUMN + backend.encode_data_row((b"unread",)) + done("SELECT 1") + READY)
    answer = stage.to_client()
    assert b"unread" not in answer and b"SFATAL" in answer
    stage.log.seal_all()
    assert stage.ended


def test_a_text_that_is_not_read_ends_with_its_last_statement() -> None:
    stage = Stage()
    stage.client(frontend.encode_query(b"SELECT '\xff'; DELETE FROM visits"))
    stage.log.seal()
    stage.server(COLUMN, ROW, done("SELECT 1"))
    assert not stage.log.waiting
    stage.server(done("DELETE 5"), READY)
    stage.log.seal_all()
    assert ("access.outcome", "DELETE 5") == (stage.log.sealed[1][1].kind, stage.log.bodies()[1]["result"]["tag"])


def test_a_statement_that_the_database_never_answered_is_not_recorded_as_done() -> None:
    stage = Stage()
    stage.client(query("DELETE FROM visits; DELETE FROM patients"))
    stage.log.seal()
    stage.server(done("DELETE 1"), READY)
    stage.log.seal_all()
    outcomes = [(draft.ref, draft.outcome) for _, draft in stage.log.sealed if draft.kind == "access.outcome"]
    assert [(100, "ok"), (101, "unknown")] == outcomes
