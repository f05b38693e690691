"""`agent-ledger show`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import as_of_option, ledger_argument
from agent_ledger.errors import LedgerError
from agent_ledger.ledger import reading
from agent_ledger.records import Row

_CALLS = "select * from call_cost where request_id = :request_id order by ts, part, id"

_TOOL_CALLS = """
select * from audit
where request_id = :request_id
  and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
order by ts, id
"""

# Exact like sql/views/daily_cost.sql.
_COST = """
select cast(sum(cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as real)
from call_cost where request_id = :request_id
"""

_NOT_COUNTED = """
select 'llm' as kind, superseded_call.id, superseded_call.by_id, superseded_call.reason
from superseded_call join ledger on ledger.id = superseded_call.id
where ledger.request_id = :request_id
union all
select 'tool', superseded_tool_call.id, superseded_tool_call.by_id, superseded_tool_call.reason
from superseded_tool_call join audit on audit.id = superseded_tool_call.id
where audit.request_id = :request_id
order by 1, 2
"""

_SHOWN = {
    "calls": (
        "ts",
        "agent_id",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "cost_source",
        "price_source",
    ),
    "tool_calls": ("ts", "tool", "server", "resource_id", "units", "unit", "status", "error_type", "duration_ms"),
    "not_counted": ("kind", "id", "by_id", "reason"),
}
_TITLES = {
    "calls": "LLM calls",
    "tool_calls": "Tool calls",
    "not_counted": "Rows that do not count, because another tells of the same",
}


@click.command()
@ledger_argument
@click.argument("request_id")
@as_of_option
@output.json_option
def show(ledger: Path, request_id: str, as_of: str | None, form: str | None) -> None:
    """Everything about one request: its LLM calls, its tool calls, and what it cost.

    Rows that do not count are named too: those that another row repeats, revises or contradicts.

    \b
    Examples:
      agent-ledger show ledger.db req_1
      agent-ledger show ledger.db req_1 --json
    """
    asked = {"request_id": request_id}
    with reading(ledger, as_of=as_of) as connection:
        found: Row = {
            "request_id": request_id,
            "calls": _rows(connection, _CALLS, asked),
            "tool_calls": _rows(connection, _TOOL_CALLS, asked),
            "cost_usd": connection.execute(_COST, asked).fetchone()[0],
            "not_counted": _rows(connection, _NOT_COUNTED, asked),
        }
    if not (found["calls"] or found["tool_calls"] or found["not_counted"]):
        raise LedgerError(f"{ledger} has no request {request_id}: check the id")
    if form == "json":
        output.show_json(found)
        return
    for part, columns in _SHOWN.items():
        if found[part]:
            click.echo(f"{_TITLES[part]}\n\n{output.as_table(found[part], columns)}\n")
    click.echo(_sum(found))


def _rows(connection: sqlite3.Connection, sql: str, parameters: dict[str, str]) -> list[Row]:
    return [dict(row) for row in connection.execute(sql, parameters)]


def _sum(found: Row) -> str:
    unpriced = sum(call["cost_usd"] is None for call in found["calls"])
    cost = "not known" if found["cost_usd"] is None else f"{output.money(found['cost_usd'])} USD"
    missing = f"; {output.count(unpriced, 'call')} without a price" if unpriced else ""
    return (
        f"LLM cost: {cost} for {output.count(len(found['calls']), 'call')}{missing}, "
        f"{output.count(len(found['tool_calls']), 'tool call')}"
    )
