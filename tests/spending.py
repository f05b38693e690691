"""Everything that was spent, amount by amount: an oracle of the all-in views that reads tables only."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from support import counted, naive_cost, nearest_double, query, raw

from agent_ledger import Ledger

NOBODY, REST = "(unattributed)", "(unallocated)"
Part = dict[str, Any]


def table(ledger: Ledger, name: str) -> list[Part]:
    """All rows of a table, by id."""
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"select * from {name} order by id")]


def parts(ledger: Ledger) -> list[Part]:
    """LLM calls, tool calls and what no tool call takes of the bills: `kind`, `picos` and the keys of every axis."""
    standing = {row["id"]: row for row in counted(ledger)}
    assignments = table(ledger, "agent_assignment")
    costs = naive_cost(ledger)
    found = [
        {"kind": "llm", "picos": costs[row["id"]], **row, **_keys(row["ts"], row["agent_id"], row, assignments)}
        for row in standing.values()
    ]
    taken: dict[int, int] = defaultdict(int)
    left: dict[int, int] = defaultdict(int)
    for line, audit_id, picos in query(ledger, "select charge_id, audit_id, cost_picos from allocation"):
        taken[audit_id] += picos
        left[line] -= picos
    prices, asking = table(ledger, "tool_price"), _asking(ledger, standing)
    superseded = {row["id"] for row in table(ledger, "superseded_tool_call")}
    for row in table(ledger, "audit"):
        if row["id"] in superseded:
            continue
        llm = asking(row["request_id"]) or {}
        agent = row["agent_id"] or llm.get("agent_id") or NOBODY
        picos = _tool_picos(row, prices, taken.get(row["id"]))
        request = {"request_id": llm.get("request_id") or row["request_id"], "customer_id": llm.get("customer_id")}
        row |= {"orphan": not llm, **request}
        found.append({"kind": "tool", "picos": picos, **row, **_keys(row["ts"], agent, llm, assignments)})
    key = dict.fromkeys(("agent", "team", "feature", "customer"), REST)
    for line in _lines(ledger):
        if rest := line["cost_picos"] + left[line["id"]]:
            day = line["period_start"][:10]
            found.append({"kind": "rest", "picos": rest, "request_id": None, "day": day, "month": day[:7], **key})
    return found


def _asking(ledger: Ledger, standing: Mapping[int, Part]) -> Any:
    by_id = {row["id"]: row["by_id"] for row in table(ledger, "superseded_call")}
    requests = defaultdict(list)
    for row_id, request in query(ledger, "select id, request_id from ledger order by id"):
        requests[request].append(row_id)

    def asking(request: str | None) -> Part | None:
        rows = requests.get(request or "", [])
        asked = next((row for row in rows if row in standing), rows[0] if rows else None)
        while asked in by_id:
            asked = by_id[asked]
        return standing[asked] if asked else None

    return asking


def _tool_picos(row: Part, prices: Iterable[Part], taken: int | None) -> int | None:
    if row["cost_usd"] is not None:
        return _rounded(Decimal(repr(row["cost_usd"])) * 10**12)
    holding = [
        price
        for price in prices
        if price["tool"] == row["tool"]
        and price["server"] in (None, row["server"])
        and price["unit"] in (None, row["unit"])
        and price["effective_from"] <= row["ts"] < (price["effective_to"] or "~")
    ]
    if holding:
        best = max(holding, key=lambda price: (price["server"] is not None, price["effective_from"], price["id"]))
        if best["unit"] is None:
            return int(best["price"])
        if row["units"] is not None:
            return _rounded(Decimal(repr(row["units"])) * best["price"])
    return taken


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_EVEN))


def _keys(ts: str, agent: str, llm: Part, assignments: Iterable[Part]) -> Part:
    held = [one for one in assignments if one["agent_id"] == agent and one["valid_from"] <= ts]
    team = max(held, key=lambda one: (one["valid_from"], one["id"])) if held else {}
    return {
        "agent": agent,
        "team": team.get("team") or NOBODY,
        "feature": llm.get("feature") or team.get("feature") or NOBODY,
        "customer": llm.get("customer_id") or NOBODY,
        "day": ts[:10],
        "month": ts[:7],
    }


def _lines(ledger: Ledger) -> list[Part]:
    """The cloud lines of the deliveries that count, in dollars."""
    newest = {(one["bill"], one["billing_period"], one["content"]): one["id"] for one in table(ledger, "delivery")}
    return [
        row
        for row in table(ledger, "charge")
        if row["kind"] == "cloud" and row["cost_picos"] is not None and row["delivery_id"] in newest.values()
    ]


def by(found: Iterable[Part], *columns: str) -> dict[tuple[Any, ...], list[Part]]:
    """Amounts by some of their keys."""
    groups: dict[tuple[Any, ...], list[Part]] = defaultdict(list)
    for part in found:
        groups[tuple(part[column] for column in columns)].append(part)
    return groups


def total(found: Iterable[Part]) -> int | None:
    """In pico-dollars, as far as they are known. None: none is."""
    known = [part["picos"] for part in found if part["picos"] is not None]
    return sum(known) if known else None


def dollars(picos: int | None) -> float | None:
    return None if picos is None else nearest_double(picos)


def of_kind(found: Iterable[Part], *kinds: str) -> list[Part]:
    return [part for part in found if part["kind"] in kinds]


def unknown(found: Iterable[Part]) -> int:
    """How many have no cost."""
    return sum(part["picos"] is None for part in found)
