from __future__ import annotations

from support import call, found_by

from agent_ledger import Ledger


def test_a_call_whose_counts_do_not_add_up(ledger: Ledger) -> None:
    ledger.record_call(**call(anomaly="the parts exceed the whole"))
    assert found_by(ledger, "anomalies") == [("r", "the parts exceed the whole")]


def test_a_sound_ledger_has_none(ledger: Ledger) -> None:
    ledger.record_call(**call())
    assert found_by(ledger, "anomalies") == []
