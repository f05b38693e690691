"""A ledger with one of everything that the views tell apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from support import add_bill, add_prices, call, price, raw, tool_call

from agent_ledger import Ledger
from agent_ledger import closing as closes

ROLLUPS = (
    *(
        "usage_rollup",
        "usage_unit_rollup",
        "usage_loose",
        "rollup_chunk",
        "tool_allocated",
        "tool_rollup",
        "tool_loose",
    ),
    *("tool_orphan", "tool_chunk", "rest_rollup"),
)


def everything(ledger: Ledger) -> None:
    """What `past` has not: all counts, tiers, bands, hours, fees, conflicts, bills, a closed month."""
    known: dict[str, Any] = {
        "provider": "p", "customer_id": "c", "session_id": "s", "feature": "f", "cache_read_tokens": 5,
        "cache_write_tokens": 5, "cache_write_1h_tokens": 1, "reasoning_tokens": 1, "web_search_requests": 1,
        "service_tier": "batch", "region": "us", "response_id": "x", "tier_tokens": 9, "reported_cost_usd": 1,
        "anomaly": "odd", "usage": {"u": 1, "v": 2.5},
    }  # fmt: skip
    dated = call(model="gpt-4o-2024-08-06", provider="azure_openai")
    ledger.record_calls(
        [
            call(request_id="all", **known),
            call(request_id="all", **{**known, "agent_id": "b", "evidence": "log"}),
            call(request_id="counts", **{**known, "anomaly": None, "response_id": None}),
            call(request_id="none", prompt_tokens=None, completion_tokens=None),
            {**dated, "request_id": "dated"},
            call(request_id="early", ts="2026-01-15T08:30:00.000Z", model="m"),
        ]
    )
    ledger.record_tool_calls(
        [
            tool_call(server="s", agent_id="a", resource_id="b", units=1.5, unit="GB", cost_usd=1),
            tool_call(tool="other"),
            tool_call(tool_call_id="priced", tool="priced", units=3, unit="GB", request_id="all"),
            tool_call(tool_call_id="halves", tool="priced", units=2.5, unit="GB", request_id="elsewhere"),
        ]
    )
    ledger.set_tool_price("priced", "0.000000000001", unit="GB")
    batch = {"source": "x", "provider": "p", "service_tier": "batch", "region": "us"}
    add_prices(
        ledger,
        price(**batch, input=1, output=1, cache_read=1, cache_write=1, cache_write_1h=1, web_search=1, request=1,
              above_tokens=5, units={"u": 1, "v": 3}, effective_from="2026-01-01T00:00:00.000Z", source_model="M"),
        price(**batch, input=1, output=1),
        price(**{**batch, "source": "y"}, input=2, output=2, above_tokens=5),
        price(source="z", input=1, output=1, time_from="08:00", time_to="09:00", cache_write=1, web_search=7),
        price("gpt-4o-2024-08-06", source="z", input=2_500_000, output=10_000_000),
    )  # fmt: skip
    with raw(ledger) as connection:
        add_bill(connection)
        connection.execute("insert into sharing_rule (method, shares) values ('fixed', '{\"a\": 2, \"b\": 1}')")
        closes.close(connection, "2026-01", reason="month end", closed_by="zoe")
    ledger.record_call(**call(request_id="late"))


def not_compacted(path: Path) -> Path:
    """The same file without rollups: its views are sums over single calls then."""
    with closing(sqlite3.connect(path)) as connection:
        for table in ROLLUPS:
            connection.execute(f"delete from {table}")
        connection.execute(
            "update rollup_state set ledger_row = 0, audit_row = 0, audit_reach = 0, allocation_row = 0, charge_row = 0"
        )
        connection.commit()
    return path
