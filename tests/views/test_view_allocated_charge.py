from __future__ import annotations

import pytest
from support import add_charge, add_delivery, query, raw, tool_call

from agent_ledger import Ledger


@pytest.mark.usefixtures("no_sources")
def test_parts_of_lines(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.record_tool_call(**tool_call(tool_call_id=str(number), resource_id="b", agent_id="a"))
    with raw(ledger) as connection:
        first, second = add_delivery(connection), add_delivery(connection, "second")
        add_charge(connection, first, "1", "5", resource_id="b")
        add_charge(connection, second, "1", "-3", resource_id="arn:aws:s3:::b", service="AmazonS3", usage_type="u")
        add_charge(connection, second, "2", "4", resource_id="b", unit="Requests", quantity="8")
    ledger.allocate()
    columns = "charge_id, audit_id, agent_id, resource_id, method, weight, share, cost_usd"
    assert query(ledger, f"select {columns} from allocated_charge order by 1, 2") == [
        ("1", 1, "a", "arn:aws:s3:::b", "weighted", 1.0, 0.5, -1.5),
        ("1", 2, "a", "arn:aws:s3:::b", "weighted", 1.0, 0.5, -1.5),
        ("2", 1, "a", "b", "metered", 1.0, 0.125, 0.5),
        ("2", 2, "a", "b", "metered", 1.0, 0.125, 0.5),
    ]
