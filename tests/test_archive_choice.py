"""Which rows may be archived: those whose going changes no figure, now or later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from old_rows import archive, past
from support import NOON, add_charge, add_delivery, call, query, raw, tool_call

from agent_ledger import Ledger, closing

pytestmark = pytest.mark.usefixtures("no_sources")


def stays(ledger: Ledger, folder: Path, **said: Any) -> bool:
    """Does a tool call stay, and its LLM call with it?"""
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "5", request_id="billed")
    request = said.pop("request_id", "r")
    ledger.record_calls([call(request_id=request), call(request_id="free"), call(request_id="newest", ts="2026-03-01")])
    ledger.record_tool_call(**tool_call(request_id=request, **said))
    ledger.record_tool_call(**tool_call(tool_call_id="newest", request_id="newest", ts="2026-03-01"))
    ledger.allocate()
    ledger.compact()
    archive(ledger, folder)
    assert not query(ledger, "select 1 from ledger where request_id = 'free'")
    tools, calls = (
        query(ledger, f"select count(*) from {table} where request_id = ?", request)[0][0]
        for table in ("audit", "ledger")
    )
    assert tools == calls
    return bool(tools)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, False),
        ({"units": 3, "unit": "s", "status": "error", "server": "s3"}, False),
        ({"cost_usd": 0}, True),
        ({"resource_id": "bucket"}, True),
        ({"request_id": "billed"}, True),
        ({"tool": "priced"}, True),
        ({"tool": "ruled"}, True),
        ({"server": "ruled.example"}, True),
        ({"ts": "2026-02-27T00:00:00.000Z"}, False),
        ({"ts": "2026-03-01T00:00:00.000Z"}, True),
    ],
)
def test_tool_calls_with_a_cost_or_that_a_bill_may_claim_stay(
    ledger: Ledger, tmp_path: Path, said: dict[str, Any], expected: bool
) -> None:
    ledger.set_tool_price("priced", "0.01")
    ledger.set_rule("one", method="weighted", weight="calls", tool="rul*")
    ledger.set_rule("two", method="weighted", weight="calls", server="ruled.*")
    ledger.set_rule("three", method="weighted", weight="calls", tool_resource_id="*")
    assert stays(ledger, tmp_path / "archive", **said) is expected


def test_what_is_later_than_a_close_stays(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, 30)
    with raw(ledger) as connection:
        closing.close(connection, "2026-01")
    ledger.record_call(**call(request_id="late", ts=NOON))
    ledger.record_call(**call(request_id="last", ts="2026-05-01"))
    ledger.compact()
    archive(ledger, tmp_path)
    assert query(ledger, "select count(*) from ledger where request_id = 'late'") == [(1,)]
    assert ledger.rows("restatement", axis="total")[0]["cause"] == "late calls"
