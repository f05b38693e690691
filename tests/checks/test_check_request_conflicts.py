from __future__ import annotations

from support import call, found_by

from agent_ledger import Ledger


def test_one_request_twice(ledger: Ledger) -> None:
    ledger.record_call(**call(ts="2026-01-01"))
    ledger.record_call(**call(ts="2026-01-02", completion_tokens=20))
    assert found_by(ledger, "request_conflicts") == [
        ("r", "row 1 counts (a, m, 100 in, 10 out), row 2 does not (a, m, 100 in, 20 out)")
    ]


def test_a_sound_ledger_has_none(ledger: Ledger) -> None:
    ledger.record_call(**call(evidence="partial"))
    ledger.record_call(**call(completion_tokens=20))
    assert found_by(ledger, "request_conflicts") == []
