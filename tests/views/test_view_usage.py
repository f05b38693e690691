from __future__ import annotations

from support import call, query

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(request_id="1", tier_tokens=7))
    ledger.record_call(**call(request_id="2", evidence="partial", completion_tokens=1))
    ledger.record_call(**call(request_id="2", completion_tokens=9))
    ledger.record_call(**call(request_id="3", prompt_tokens=None))
    rows = ledger.rows("usage")
    assert [(row["request_id"], row["completion_tokens"], row["tier_tokens"]) for row in rows] == [
        ("1", 10, 7), ("2", 9, 100), ("3", 10, 0),
    ]  # fmt: skip


def test_every_column_of_the_ledger_is_there(ledger: Ledger) -> None:
    columns = {name for (name,) in query(ledger, "select name from pragma_table_info('ledger')")}
    assert {name for (name,) in query(ledger, "select name from pragma_table_info('usage')")} == columns
