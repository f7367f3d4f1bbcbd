"""Heartbeats of a running process: the administration and the gateway are heard of, and who is not becomes a gap."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DECLARED = """
source/office: {kind: administration, heartbeat_s: 1}
source/clinic-gateway: {kind: gateway, system: clinic, heartbeat_s: 1}
source/lab: {kind: collector, heartbeat_s: 1, description: sends nothing}
"""
_GONE = "{source/office: null, source/clinic-gateway: null, source/lab: null}"


def apply(front, folder: Path, text: str) -> None:
    declared = folder / "sources.yaml"
    declared.write_text(text, encoding="utf-8")
    front.site.run("apply", str(declared), "--reason", "heartbeats", "--yes")


def wait_for(front, query: str, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        found = front.records(query)
        if enough(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_a_running_gateway_is_heard_of_and_a_silent_source_is_a_gap(front, tmp_path: Path) -> None:
    apply(front, tmp_path, _DECLARED)
    try:
        gaps = wait_for(front, "kind:log.gap", lambda found: any(one["body"]["cause"] == "silence" for one in found))
        beats = front.records("kind:log.heartbeat")
        assert {"office", "clinic-gateway"} == {one["body"]["source"] for one in beats}
        assert 2 == len({one["header"]["source"]["stream"] for one in beats})
        (gap,) = [one for one in gaps if one["body"]["cause"] == "silence"]
        assert ("lab", None, None) == (gap["body"]["source"], gap["body"]["end"], gap["body"]["heard"])
        ready = front.site.run("ready", expect=(0, 1)).output
        assert "Silent: lab since " in ready
        assert f"(record {gap['index']})" in ready
    finally:
        apply(front, tmp_path, _GONE)
    verdict = front.site.run("verify", str(front.site.folder), "--key", str(front.site.verifier_key), expect=(0, 1, 3))
    assert "counter.silence" not in verdict.output
