from __future__ import annotations

from support import raw, spent

from agent_ledger import Ledger, closing

MOMENT = "2026-03-01T00:00:00.000Z"


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    with raw(ledger) as connection:
        for month in ("2025-12", "2026-01", "2026-02"):
            closing.close(connection, month, closed_by="ana", reason="month end", moment=MOMENT)
        closing.reopen(connection, "2026-01", "a late bill")
    december, february = ledger.rows("closed_month")
    assert [december[name] for name in ("close_id", "month", "starts", "ends", "closed_at", "closed_by", "reason")] == [
        *(1, "2025-12", "2025-12-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"),
        *(MOMENT, "ana", "month end"),
    ]
    assert (february["close_id"], february["month"], february["ends"]) == (3, "2026-02", MOMENT)
    assert len(february["digest"]) == 64
    assert {name: value for name, value in february.items() if name.endswith("_row")} == {
        "ledger_row": 4,
        "audit_row": 0,
        "delivery_row": 0,
        "charge_row": 0,
        "price_revision_row": 1,
        "tool_price_row": 0,
        "exchange_rate_row": 0,
        "agent_assignment_row": 2,
        "allocation_rule_row": 0,
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("closed_month") == []
