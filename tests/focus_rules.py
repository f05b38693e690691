"""The machine rules of FOCUS, evaluated, and a ledger whose FOCUS rows are of every kind there is."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from support import add_bill, add_charge, add_delivery, add_prices, call, price, raw, tool_call

from agent_ledger import Ledger
from agent_ledger.allocation import allocate

Row = Mapping[str, str | None]
Rule = dict[str, Any]

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")
_DECIMAL = re.compile(r"-?\d+\.\d+([eE]-?\d+)?")
_UNIT = re.compile(r"[A-Z][A-Za-z]*( [A-Z][A-Za-z]*)*([-/][A-Z][a-z]+)?")


def fill(ledger: Ledger) -> None:
    """Calls of every kind of price, tools of every source of cost, bill lines of every category."""
    ledger.assign("a", team="one", feature="search")
    everything = {
        "provider": "p",
        "customer_id": "=acme",
        "service_tier": "batch",
        "region": "us",
        "usage": {"pages": 2.5},
        "prompt_tokens": 1000,
        "cache_read_tokens": 101,
        "cache_write_tokens": 203,
        "cache_write_1h_tokens": 57,
        "completion_tokens": 77,
        "reasoning_tokens": 13,
        "web_search_requests": 3,
    }
    ledger.record_calls(
        [
            call(request_id="1", **everything),
            call(request_id="2", **everything),
            call(request_id="3", prompt_tokens=0, completion_tokens=0),
            call(request_id="4", prompt_tokens=500),
            call(request_id="5", ts="2026-01-31T23:59:59.999Z", agent_id="b"),
            call(request_id="6", ts="2026-02-01T00:00:00.000Z", agent_id="b"),
            call(request_id="7", model="n", reported_cost_usd=0.25),
            call(request_id="8", model="unpriced"),
        ]
    )
    dear = price(
        provider="p", service_tier="batch", region="us", input=3, output=50, cache_read=1, cache_write=5,
        cache_write_1h=7, reasoning=70, web_search=11_000_000_000, request=13_000_000, units={"pages": 333_333},
    )  # fmt: skip
    add_prices(
        ledger,
        dear,
        price(input=2_500_000, output=10_000_000),
        price(input=5_000_000, output=10_000_000, above_tokens=400),
    )
    ledger.record_tool_call(**tool_call(tool_call_id="t1", request_id="1", server="s", cost_usd=0.125))
    ledger.record_tool_call(**tool_call(tool_call_id="t2", tool="priced", request_id="1"))
    ledger.record_tool_call(**tool_call(tool_call_id="t3", tool="priced", agent_id="b", request_id=None))
    ledger.record_tool_call(**tool_call(tool_call_id="t4", tool="nobody knows"))
    with raw(ledger) as connection:
        connection.execute(
            "insert into tool_price (tool, effective_from, price) values ('priced', '2026-01-01T00:00:00.000Z', 12345)"
        )
        _fill_bill(connection)


def _fill_bill(connection: sqlite3.Connection) -> None:
    add_bill(connection)
    delivery = add_delivery(connection, bill="aws 2")
    for number, category in enumerate(("purchase", "fee", "refund", "discount", "adjustment", "usage", "tax")):
        add_charge(
            connection, delivery, f"c{number}", f"{number - 2}.000000000001", category=category, service="AWSLambda"
        )
    for agent, times in (("a", 2), ("b", 1)):
        for time in range(times):
            connection.execute(
                "insert into audit (ts, tool_call_id, tool, agent_id, resource_id) values (?, ?, 'query', ?, 'shared')",
                ["2026-01-15T12:30:00.000Z", f"{agent}{time}", agent],
            )
    add_charge(connection, delivery, "split", "1", resource_id="shared", service="AmazonRDS", quantity="3", unit="Hrs")
    allocate(connection)


def expected_picos(ledger: Ledger) -> int:
    """The all-in total, from the cube."""
    with raw(ledger) as connection:
        sums = "coalesce(sum({0}_4096ths), 0) * 244140625 + coalesce(sum({0}_picos), 0)"
        [(total,)] = connection.execute(f"select {sums.format('llm')} + {sums.format('tool')} from daily_all_in")
    return int(total)


@dataclass
class Verdict:
    """What came out: rules by their id."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    wished: list[str] = field(default_factory=list)  # SHOULD and the like, not met
    skipped: list[str] = field(default_factory=list)  # not applicable, or of a column that need not be there


class Model:
    """The rules of one version of FOCUS."""

    def __init__(self, path: Path) -> None:
        self.rules: dict[str, Rule] = json.loads(path.read_text("utf-8"))["ModelRules"]

    def evaluate(self, rows: Sequence[Row], columns: Iterable[str], supported: Iterable[str]) -> Verdict:
        """Every rule that a machine can read, from the root down: each is about the rows that its parents speak of."""
        verdict = Verdict()
        self._descend("CostAndUsage-D-000-M", rows, set(columns), set(supported), verdict)
        return verdict

    def readable(self) -> set[str]:
        """Rules that a machine can read: the others are sentences."""
        return {name for name, rule in self.rules.items() if rule["ValidationCriteria"].get("Requirement")}

    def _descend(
        self, name: str, rows: Sequence[Row], columns: set[str], supported: set[str], verdict: Verdict
    ) -> None:
        rule = self.rules[name]
        criteria = rule["ValidationCriteria"]
        requirement = criteria.get("Requirement")
        if not requirement:
            return
        present = requirement["CheckFunction"] == "ColumnPresent"
        absent = rule["EntityType"] == "Column" and not present and rule["Reference"] not in columns
        if absent or not set(rule["ApplicabilityCriteria"]) <= supported:
            verdict.skipped.append(name)
            return
        if condition := criteria.get("Condition"):
            rows = [row for row in rows if self._holds(condition, row)]
        items = requirement.get("Items", [])
        if requirement["CheckFunction"] == "AND" and all(item["CheckFunction"] == "CheckModelRule" for item in items):
            for item in items:
                self._descend(item["ModelRuleId"], rows, columns, supported, verdict)
            return
        if present:
            good = requirement["ColumnName"] in columns
        elif requirement["CheckFunction"] == "CheckDistinctCount":
            good = _distinct(requirement, rows)
        else:
            good = all(self._holds(requirement, row) for row in rows)
        if good:
            verdict.passed.append(name)
        elif criteria["Keyword"].startswith("MUST"):
            verdict.failed.append(name)
        elif criteria["Keyword"] != "MAY":
            verdict.wished.append(name)

    def _holds(self, check: Rule, row: Row) -> bool:
        kind = check["CheckFunction"]
        if kind in ("AND", "OR"):
            return (all if kind == "AND" else any)(self._holds(item, row) for item in check["Items"])
        if kind == "CheckModelRule":
            criteria = self.rules[check["ModelRuleId"]]["ValidationCriteria"]
            condition = criteria.get("Condition")
            return not (not condition or self._holds(condition, row)) or self._holds(criteria["Requirement"], row)
        return CHECKS[kind](check, row)


def _distinct(check: Rule, rows: Sequence[Row]) -> bool:
    found = defaultdict(set)
    for row in rows:
        if row[check["ColumnAName"]] is not None:
            found[row[check["ColumnAName"]]].add(row[check["ColumnBName"]])
    return all(len(values) == check["ExpectedCount"] for values in found.values())


def _same(value: str | None, expected: object) -> bool:
    if isinstance(expected, int | float) and value is not None:
        return Decimal(value) == Decimal(str(expected))
    return value == expected


def _each(good: Callable[[str], bool]) -> Callable[[Rule, Row], bool]:
    def check(rule: Rule, row: Row) -> bool:
        value = row.get(rule["ColumnName"])
        return value is None or good(value)

    return check


def _pair(good: Callable[[str | None, str | None], bool]) -> Callable[[Rule, Row], bool]:
    return lambda rule, row: good(row.get(rule["ColumnAName"]), row.get(rule["ColumnBName"]))


def _product(rule: Rule, row: Row) -> bool:
    cells = [row[rule[name]] for name in ("ColumnAName", "ColumnBName", "ResultColumnName")]
    if None in cells:
        return True
    left, right, result = (Decimal(cell or 0) for cell in cells)
    return left * right == result


def _is_time(text: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)) and datetime.fromisoformat(text) is not None


def _is_flat_object(text: str) -> bool:
    found = json.loads(text)
    return isinstance(found, dict) and not any(isinstance(value, dict | list) for value in found.values())


CHECKS: dict[str, Callable[[Rule, Row], bool]] = {
    "CheckValue": lambda rule, row: _same(row.get(rule["ColumnName"]), rule["Value"]),
    "CheckNotValue": lambda rule, row: not _same(row.get(rule["ColumnName"]), rule["Value"]),
    "CheckSameValue": _pair(lambda a, b: a == b),
    "CheckNotSameValue": _pair(lambda a, b: a != b),
    "CheckGreaterOrEqualThanValue": lambda rule, row: _each(lambda text: Decimal(text) >= rule["Value"])(rule, row),
    "CheckDecimalValue": _each(lambda text: bool(_NUMBER.fullmatch(text))),
    "CheckNationalCurrency": _each(lambda text: bool(re.fullmatch("[A-Z]{3}", text))),
    "ColumnByColumnEqualsColumnValue": _product,
    "FormatCurrency": _each(lambda text: bool(re.fullmatch("[A-Z]{3}", text))),
    "FormatDateTime": _each(_is_time),
    "FormatKeyValue": _each(_is_flat_object),
    "FormatNumeric": _each(lambda text: bool(_NUMBER.fullmatch(text))),
    "FormatString": _each(lambda text: bool(text.strip())),
    "FormatUnit": _each(lambda text: bool(_UNIT.fullmatch(text))),
    "TypeDateTime": _each(_is_time),
    "TypeDecimal": _each(lambda text: bool(_DECIMAL.fullmatch(text))),
    "TypeString": _each(lambda text: isinstance(text, str)),
}
