from __future__ import annotations

from support import call, query, tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_tool_price("t", "0.5", unit="GB", effective_from="2026-01-15T11:30:00Z")
    ledger.assign("a", team="x", valid_from="2026-01-15T11:00:00Z")
    ledger.record_call(**call(customer_id="acme", feature="chat"))
    amounts: list[dict[str, object]] = [{}, {"units": 3}, {"units": 0.125}, {"units": 3, "cost_usd": 0.25}]
    for number, given in enumerate(amounts):
        ledger.record_tool_call(**tool_call(tool_call_id=str(number), unit="GB", status="error", **given))
    found = query(
        ledger,
        "select unit, units, reported, price_cut, units_sum, cost_4096ths * 244140625 + cost_picos from tool_place",
    )
    price_on, gigabyte = "2026-01-15T11:30:00.000Z", 10**12 // 2
    assert found == [
        ("GB", 0, 0, price_on, 0, 0),
        ("GB", 1, 0, price_on, 3, 0),
        ("GB", 2, 0, price_on, 0, gigabyte // 8),
        ("", 0, 1, "", 0, 10**12 // 4),
    ]
    same = query(
        ledger, "select distinct agent_id, feature, agent_cut, customer_id, failed_calls, orphan from tool_place"
    )
    assert same == [("a", "chat", "2026-01-15T11:00:00.000Z", "acme", 1, 0)]
    assert query(ledger, "select distinct key_id from tool_place") == [(None,)]
    ledger.compact()
    assert query(ledger, "select count(distinct key_id), count(distinct all_agents_id) from tool_place") == [(4, 4)]
