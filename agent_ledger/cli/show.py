"""`agent-ledger show`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import click

from agent_ledger import archive_reading, money
from agent_ledger.cli import output
from agent_ledger.cli.options import as_of_option, ledger_argument
from agent_ledger.errors import LedgerError
from agent_ledger.ledger import reading
from agent_ledger.records import Row

_CALLS = "select * from call_cost where request_id = :request_id order by ts, part, id"

# By id, so that nothing else is read: tool calls may name the request of another account of the same response.
_TOOL_CALLS = """
with answered as (
  select request_id, response_id from ledger where request_id = :request_id
),
asked as (
  select :request_id as request_id
  union
  select ledger.request_id
  from answered
  join ledger
    on substr(ledger.response_id, -8) = substr(answered.response_id, -8) and ledger.response_id = answered.response_id
)
select
  tool_cost.*, audit.error_type, audit.arguments_bytes, audit.arguments_digest, audit.result_bytes, audit.result_digest
from tool_cost
join audit on audit.id = tool_cost.id
where tool_cost.id in (select id from audit where request_id in (select request_id from asked))
  and tool_cost.request_id = :request_id
order by tool_cost.ts, tool_cost.id
"""

_CHARGES = """
select allocated_charge.*, tool_call_id, tool
from allocated_charge
join audit on audit.id = allocated_charge.audit_id
where audit_id in (select value from json_each(:audit_ids))
order by audit_id, charge_row
"""

_NOT_COUNTED = """
select
  'llm' as kind, superseded_call.id, superseded_call.by_id, counted.request_id as by_request_id, superseded_call.reason
from superseded_call
join ledger on ledger.id = superseded_call.id
join ledger as counted on counted.id = superseded_call.by_id
where ledger.request_id = :request_id
union all
select 'tool', superseded_tool_call.id, superseded_tool_call.by_id, counted.request_id, superseded_tool_call.reason
from superseded_tool_call
join audit on audit.id = superseded_tool_call.id
join audit as counted on counted.id = superseded_tool_call.by_id
where audit.request_id = :request_id
order by 1, 2
"""

_SHOWN = {
    "calls": (
        *("ts", "agent_id", "model", "prompt_tokens", "completion_tokens"),
        *("cost_usd", "cost_source", "price_source"),
    ),
    "tool_calls": (
        *("ts", "tool", "server", "resource_id", "units", "unit", "status", "error_type", "duration_ms"),
        *("cost_usd", "cost_source"),
    ),
    "charges": (
        *("tool", "tool_call_id", "charge_id", "service", "resource_id", "usage_type"),
        *("method", "weight", "share", "cost_usd"),
    ),
    "not_counted": ("kind", "id", "by_id", "by_request_id", "reason"),
}
_TITLES = {
    "calls": "LLM calls",
    "tool_calls": "Tool calls",
    "charges": "Lines of cloud bills, and what these tool calls take of them",
    "not_counted": "Rows that do not count, because another tells of the same",
}


@click.command()
@ledger_argument
@click.argument("request_id")
@as_of_option
@output.json_option
def show(ledger: Path, request_id: str, as_of: str | None, form: str | None) -> None:
    """One request as a small bill: its LLM calls, its tool calls, their parts of cloud bills, and the sum.

    Rows that do not count are named too: those that another row repeats, revises or contradicts. What is archived is
    read from its Parquet files.

    \b
    Examples:
      agent-ledger show ledger.db req_1
      agent-ledger show ledger.db req_1 --json
    """
    with reading(ledger, as_of=as_of) as connection:
        unread = _read_archive(connection, request_id)
        found = _found(connection, request_id)
    if not any(found[part] for part in _SHOWN):
        missing = f"{ledger} has no request {request_id}: check the id"
        raise LedgerError(f"{missing}; the archive was not asked, because {unread}" if unread else missing)
    if unread:
        click.echo(output.plain(f"What is archived of it is not shown: {unread}"), err=True)
    if form == "json":
        output.show_json(found)
        return
    for part, columns in _SHOWN.items():
        if found[part]:
            click.echo(f"{_TITLES[part]}\n\n{output.as_table(found[part], columns)}\n")
    click.echo(_sum(found))


def _read_archive(connection: sqlite3.Connection, request_id: str) -> str | None:
    """Let what is archived of the request be seen. Returns why it can't be."""
    try:
        archive_reading.recall_request(connection, request_id)
    except archive_reading.Unreadable as error:
        return str(error)
    return None


def _found(connection: sqlite3.Connection, request_id: str) -> Row:
    asked = {"request_id": request_id}
    calls, tool_calls = _rows(connection, _CALLS, asked), _rows(connection, _TOOL_CALLS, asked)
    billed = [row["id"] for row in tool_calls if row["cost_source"] == "allocated"]
    llm, tools = ([row["cost_picos"] for row in rows if row["cost_picos"] is not None] for rows in (calls, tool_calls))
    return {
        "request_id": request_id,
        "calls": calls,
        "tool_calls": tool_calls,
        "charges": _rows(connection, _CHARGES, {"audit_ids": json.dumps(billed)}),
        "llm_usd": _dollars(llm) if llm or not calls else None,  # what was not called costs nothing
        "tool_usd": _dollars(tools) if tools or not tool_calls else None,
        "all_in_usd": _dollars(llm + tools) if llm or tools else None,
        "not_counted": _rows(connection, _NOT_COUNTED, asked),
    }


def _rows(connection: sqlite3.Connection, sql: str, parameters: dict[str, str]) -> list[Row]:
    return [dict(row) for row in connection.execute(sql, parameters)]


def _dollars(picos: list[int]) -> float:
    return float(money.dollars(sum(picos)))


def _sum(found: Row) -> str:
    def part(amount: float | None, rows: list[Row], noun: str, missing: str) -> str:
        without = sum(row["cost_usd"] is None for row in rows)
        told = f" ({output.count(without, 'call')} without a {missing})" if without else ""
        return f"{_money(amount)} for {output.count(len(rows), noun)}{told}"

    if not (found["calls"] or found["tool_calls"]):
        others = sorted({row["by_request_id"] for row in found["not_counted"]} - {None, found["request_id"]})
        return f"Nothing of this request counts; see {', '.join(others)}"
    llm = part(found["llm_usd"], found["calls"], "LLM call", "price")
    tools = part(found["tool_usd"], found["tool_calls"], "tool call", "cost")
    return f"All-in: {_money(found['all_in_usd'])} = {llm} + {tools}"


def _money(amount: float | None) -> str:
    return "not known" if amount is None else f"{output.money(amount)} USD"
