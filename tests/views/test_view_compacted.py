from __future__ import annotations

from support import call, query, raw

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    assert query(ledger, "select ledger_row, audit_row from compacted") == [(0, 0)]
    ledger.record_calls(call(request_id=f"r{number}") for number in range(5))
    ledger.record_tool_call(tool="t", request_id="r1")
    ledger.compact(up_to=3)
    assert query(ledger, "select ledger_row from compacted") == [(3,)]
    ledger.compact()
    assert query(ledger, "select ledger_row, audit_row from compacted") == [(5, 1)]


def test_an_assignment_in_plain_sql_puts_the_rollups_aside(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """Until the library has divided them by it: the views are right at any moment."""
    ledger.record_call(**call(ts="2026-01-15T12:00:00.000Z"))
    ledger.record_call(**call(ts="2026-01-15T12:30:00.000Z", request_id="later"))
    ledger.compact()
    with raw(ledger) as connection:
        connection.execute(
            "insert into agent_assignment (agent_id, valid_from, team) values ('a', '2026-01-15T12:15:00.000Z', 'x')"
        )
    assert query(ledger, "select ledger_row, audit_row from compacted") == [(0, 0)]
    teams = "select team, calls from cost_by_team order by 1"
    assert query(ledger, teams) == [("(unattributed)", 1), ("x", 1)]
    Ledger(ledger.path).close()
    assert query(ledger, "select ledger_row from compacted") == [(2,)]
    assert query(ledger, teams) == [("(unattributed)", 1), ("x", 1)]
