"""Which tool call takes which part of a bill, against an oracle in fractions that shares no code with the package."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NOON, add_bill, add_charge, add_delivery, query, raw, temporary_ledger, tool_call

from agent_ledger import Ledger
from agent_ledger.allocation import allocate

pytestmark = pytest.mark.usefixtures("no_sources")

TABLES = "select charge_id, audit_id, method, cost_picos from allocation"
RESTS = "select charge_id, cost_picos, reason from allocation_rest"

# -- the oracle -------------------------------------------------------------------------------------------------------

BASES = {
    "requests": ("request", 1), "gb": ("byte", 2**30), "bytes": ("byte", 1), "1k tokens": ("token", 1000),
    "tokens": ("token", 1), "ms": ("ms", 1), "hrs": ("ms", 3_600_000), "gb-mo": ("gb-mo", 1), None: (None, 1),
}  # fmt: skip
NAMES = {"arn:aws:s3:::bucket": ("bucket", "s3"), "bucket": ("bucket", None), "s3://bucket/key": ("bucket", "s3"),
         "arn:aws:rds:eu-1:1:db:bucket": ("bucket", "rds"), "other": ("other", None), None: (None, None)}  # fmt: skip
SERVICES = {"AmazonS3": "s3", "AmazonRDS": "rds"}
Exact = tuple[str, dict[int, Fraction], str | None]


def glob(pattern: str | None, text: str | None) -> bool:
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return (text or "").startswith(pattern[:-1])
    return pattern == (text or "")


def plain(name: str) -> str:
    return name.lower().replace("_", "")


def oracle(connection: sqlite3.Connection) -> dict[int, Exact]:
    """Of each line: how, the exact part of each tool call in pico-dollars, and the reason of the rest."""
    connection.row_factory = sqlite3.Row
    calls = [
        dict(row)
        for row in connection.execute("select * from audit where id not in (select id from superseded_tool_call)")
    ]
    prices = [dict(row) for row in connection.execute("select * from tool_price")]
    calls = [
        call
        for call in calls
        if call["cost_usd"] is None
        and not any(
            p["tool"] == call["tool"] and p["unit"] in (None, call["unit"])
            for p in prices
            if call["units"] or not p["unit"]
        )
    ]
    rules: dict[str, dict[str, Any]] = {}
    for row in connection.execute("select * from allocation_rule order by id"):
        rules[row["name"]] = dict(row)
    ordered = sorted(rules.values(), key=lambda rule: (rule["priority"], rule["id"]))
    newest = "select max(id) from delivery group by bill, billing_period, content"
    lines = connection.execute(f"select * from charge where delivery_id in ({newest}) and kind = 'cloud'")
    found = {}
    for line in map(dict, lines):
        if line["cost_picos"] is None:
            said = "select effective_from, id, usd from exchange_rate where currency = ?"
            rates = [tuple(row) for row in connection.execute(said, [line["currency"]])]
            rates = [rate for rate in rates if rate[0] <= line["period_start"]]
            if not rates:
                continue
            line["cost_picos"] = round(float(line["cost"]) * max(rates)[2] * 1e12)
        if line["cost_picos"]:
            found[line["id"]] = exact(line, calls, ordered)
    connection.row_factory = None
    return found


def exact(line: dict[str, Any], calls: list[dict[str, Any]], rules: list[dict[str, Any]]) -> Exact:
    named = [call for call in calls if call["request_id"] == line["request_id"] and line["request_id"]]
    if named:
        return "request", divided(line, named, None), None
    columns = ("provider", "account", "service", "resource_id", "operation", "usage_type", "category")
    rule = next((rule for rule in rules if all(glob(rule[name], line[name]) for name in columns)), None)
    if rule is None and line["category"] != "usage" and line["category"] != "adjustment":
        return "", {}, "credit" if line["category"] in ("credit", "refund") else "tax or fee"
    if rule is not None and rule["method"] == "none":
        return "", {}, "by rule"
    own = rule is None or (rule["tool"], rule["server"], rule["tool_resource_id"]) == (None, None, None)
    if own and line["resource_id"] is None:
        return "", {}, "no resource"
    then = [call for call in calls if line["period_start"] <= call["ts"] < line["period_end"]]
    name, service = NAMES[line["resource_id"]]
    services = {SERVICES.get(line["service"]), service}
    if own:
        fitting = [call for call in then if NAMES[call["resource_id"]][0] == name]
        fitting = [call for call in fitting if services == {None} or NAMES[call["resource_id"]][1] in {*services, None}]
        if rule is not None and rule["tool_operation"] is not None:
            fitting = [call for call in fitting if glob(rule["tool_operation"], call["operation"])]
        elif line["operation"] is not None:
            same = [c for c in fitting if c["operation"] and plain(c["operation"]) == plain(line["operation"])]
            if not same and line["unit"] == "Requests":
                same = [call for call in fitting if call["operation"] is None]
                fitting = same
            fitting = same or fitting
    else:
        assert rule is not None
        keys = {"tool": "tool", "server": "server", "tool_resource_id": "resource_id", "tool_operation": "operation"}
        fitting = [call for call in then if all(glob(rule[ours], call[theirs]) for ours, theirs in keys.items())]
    if rule is not None and rule["unit"] is not None:
        fitting = [call for call in fitting if (call["unit"] or "").lower() == rule["unit"].lower()]
    if not fitting:
        ever = not own or any(NAMES[call["resource_id"]][0] == name for call in calls)
        return "", {}, "no tool call then" if ever else "no tool call"
    used = {} if rule and rule["method"] == "weighted" else metered(line, fitting)
    if used:
        short = (
            sum(used.values()) < line["cost_picos"]
            if line["cost_picos"] > 0
            else sum(used.values()) > line["cost_picos"]
        )
        return "metered", used, "not all metered" if short else None
    if rule is not None and rule["method"] == "metered":
        return "", {}, "not all metered"
    return "weighted", divided(line, fitting, rule and rule["weight"]), None


def units_of(call: dict[str, Any], base: str | None) -> Fraction:
    own, factor = BASES[call["unit"] and call["unit"].lower()]
    if own == base:
        return Fraction(call["units"] or 0) * factor
    return Fraction(1 if base == "request" else 0)


def metered(line: dict[str, Any], calls: list[dict[str, Any]]) -> dict[int, Fraction]:
    base, factor = BASES[line["unit"] and line["unit"].lower()]
    billed = Fraction(line["quantity"] or 0) * factor
    used = {call["id"]: units_of(call, base) for call in calls}
    total = sum(used.values())
    if line["unit"] is None or billed <= 0 or not total:
        return {}
    return {call: units * line["cost_picos"] / max(total, billed) for call, units in used.items()}


def divided(line: dict[str, Any], calls: list[dict[str, Any]], weight: str | None) -> dict[int, Fraction]:
    kinds = {call["unit"] for call in calls}
    if weight is None:
        weight = "units" if len(kinds) == 1 and None not in kinds else "calls"
    column = {"units": "units", "duration": "duration_ms"}.get(weight)
    weights = [Fraction(1) if column is None else Fraction(call[column] or 0) for call in calls]
    if not sum(weights):
        weights = [Fraction(1)] * len(calls)
    return {call["id"]: w * line["cost_picos"] / sum(weights) for call, w in zip(calls, weights, strict=True)}


# -- against the oracle -----------------------------------------------------------------------------------------------


def spans() -> st.SearchStrategy[tuple[str, str]]:
    hour = st.sampled_from(range(3)).map(
        lambda h: (f"2026-01-15T{h:02}:00:00.000Z", f"2026-01-15T{h + 1:02}:00:00.000Z")
    )
    day = st.just(("2026-01-15T00:00:00.000Z", "2026-01-16T00:00:00.000Z"))
    month = st.just(("2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"))
    return st.one_of(hour, hour, day, month)


MAYBE_OPERATION = st.sampled_from([None, "GetObject", "get_object", "PutObject", "StandardStorage"])
UNIT = st.sampled_from([None, "Requests", "GB", "bytes", "1K tokens", "tokens", "ms", "Hrs", "GB-Mo"])
CALLS = st.fixed_dictionaries(
    {
        "ts": st.tuples(st.integers(0, 3), st.sampled_from(["00:00.000", "30:00.000", "59:59.999"])).map(
            lambda it: f"2026-01-15T{it[0]:02}:{it[1]}Z"
        ),
        "tool": st.sampled_from(["get", "put", "priced"]),
        "resource_id": st.sampled_from(list(NAMES)),
        "operation": MAYBE_OPERATION,
        "units": st.sampled_from([None, 0, 0.5, 1, 3, 1000]),
        "unit": UNIT,
        "duration_ms": st.sampled_from([None, 0, 1, 70]),
        "cost_usd": st.sampled_from([None, None, None, 0.5]),
        "request_id": st.sampled_from([None, "r"]),
    }
)
CHARGES = st.fixed_dictionaries(
    {
        "span": spans(),
        "cost": st.sampled_from(["1", "0.000000000007", "-0.000000000010", "123.4567", "0", "-3"]),
        "currency": st.sampled_from(["USD", "USD", "USD", "EUR", "GBP"]),
        "service": st.sampled_from([None, "AmazonS3", "AmazonRDS", "Unheard"]),
        "resource_id": st.sampled_from(list(NAMES)),
        "operation": MAYBE_OPERATION,
        "quantity": st.sampled_from([None, "0", "-1", "2", "0.5", "1000000"]),
        "unit": UNIT,
        "category": st.sampled_from(["usage", "usage", "usage", "tax", "credit", "refund", "fee", "adjustment"]),
        "kind": st.sampled_from(["cloud", "cloud", "cloud", "llm"]),
        "request_id": st.sampled_from([None, None, None, "r", "gone"]),
    }
)
RULES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["one", "two"]),
        "priority": st.integers(1, 3),
        "service": st.sampled_from([None, "*", "Amazon*", "AmazonS3"]),
        "category": st.sampled_from([None, "tax", "usage"]),
        "tool": st.sampled_from([None, None, "*", "get"]),
        "tool_resource_id": st.sampled_from([None, None, "bucket"]),
        "tool_operation": st.sampled_from([None, None, "Get*", "*"]),
        "method": st.sampled_from(["metered", "weighted", "none"]),
        "weight": st.sampled_from(["calls", "units", "duration"]),
        "unit": st.sampled_from([None, None, "bytes"]),
    }
)


def insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    sql = f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    connection.execute(sql, list(values.values()))


def fill(
    connection: sqlite3.Connection,
    calls: list[dict[str, Any]],
    charges: list[dict[str, Any]],
    rules: list[dict[str, Any]],
) -> None:
    for number, call in enumerate(calls):
        insert(connection, "audit", {"tool_call_id": f"tc{number}", **call})
    delivery = add_delivery(connection)
    for number, charge in enumerate(charges):
        start, end = charge["span"]
        values = {name: value for name, value in charge.items() if name not in ("span", "cost")}
        add_charge(connection, delivery, str(number), charge["cost"], period_start=start, period_end=end, **values)
    for rule in rules:
        insert(connection, "allocation_rule", rule)
    rate = {"currency": "EUR", "effective_from": "2026-01-15T01:00:00.000Z", "usd": 1.5}
    insert(connection, "exchange_rate", rate)
    insert(connection, "tool_price", {"tool": "priced", "effective_from": "2020-01-01T00:00:00.000Z", "price": 1})


@settings(max_examples=80)
@given(
    st.lists(CALLS, max_size=8), st.lists(CHARGES, min_size=1, max_size=8), st.lists(RULES, max_size=3), st.booleans()
)
def test_every_line_is_divided_as_it_should_be(
    calls: list[dict[str, Any]], charges: list[dict[str, Any]], rules: list[dict[str, Any]], some: bool
) -> None:
    with temporary_ledger() as ledger, raw(ledger) as connection:
        fill(connection, calls, charges, rules if some else [])
        allocate(connection)
        wanted = oracle(connection)
        taken: dict[int, dict[int, tuple[str, int]]] = {}
        for line, call, method, picos in connection.execute(TABLES):
            taken.setdefault(line, {})[call] = (method, picos)
        rests = {line: (picos, reason) for line, picos, reason in connection.execute(RESTS)}
        amounts = dict(connection.execute("select id, cost_picos from billed_charge where kind = 'cloud'"))
        assert set(taken) | set(rests) == {line for line, picos in amounts.items() if picos} == set(wanted)
        for line, (method, parts, reason) in wanted.items():
            mine = taken.get(line, {})
            rest, why = rests.get(line, (0, None))
            assert sum(picos for _, picos in mine.values()) + rest == amounts[line]
            assert set(mine) == set(parts), line
            assert {each for each, _ in mine.values()} <= {method}
            for call, part in parts.items():
                assert abs(mine[call][1] - part) <= 1
            if reason != why:  # less than a pico-dollar is left
                assert (reason, why) == ("not all metered", None)
                assert abs(amounts[line] - sum(parts.values())) < 1
        shown = "select charge_row, sum(cost_picos) from {} where cost_picos is not null group by 1"
        sums = [dict(connection.execute(shown.format(f"{name}_charge"))) for name in ("allocated", "unallocated")]
        for line, picos in amounts.items():
            assert sum(found.get(line, 0) for found in sums) == (picos or 0)


@given(st.lists(CALLS, max_size=6), st.lists(CHARGES, min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_neither_order_nor_unrelated_rows_matter(
    calls: list[dict[str, Any]], charges: list[dict[str, Any]], chance: random.Random
) -> None:
    """Only which of several equal parts gets a pico-dollar more follows the order of recording."""
    calls = [{**call, "ts": f"{call['ts'][:-4]}{number:03}Z"} for number, call in enumerate(calls)]

    def divided(calls: list[dict[str, Any]], charges: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        with temporary_ledger() as ledger, raw(ledger) as connection:
            fill(connection, calls, [dict(charge) for charge in charges], [])
            for charge in [{"charge_id": "u", "resource_id": "unrelated"}]:
                add_charge(connection, add_delivery(connection, bill="aws 9"), cost="5", **charge)
            allocate(connection)
            return sorted(
                connection.execute(
                    "select charge.cost, charge.resource_id, audit.ts, allocation.cost_picos, allocation.method"
                    " from allocation join charge on charge.id = allocation.charge_id join audit on audit.id = audit_id"
                )
            )

    mixed_calls, mixed_charges = list(calls), list(charges)
    chance.shuffle(mixed_calls)
    chance.shuffle(mixed_charges)
    unrelated = [{"ts": NOON, "tool": "get", "resource_id": "elsewhere"}]
    assert divided(calls, charges) == divided(mixed_calls, mixed_charges) == divided([*calls, *unrelated], charges)


# -- one by one -------------------------------------------------------------------------------------------------------


@pytest.fixture
def book(ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """Two tool calls at noon that touched a bucket, one twice as long as the other."""
    for number, duration in ((1, 100), (2, 200)):
        ledger.record_tool_call(
            **tool_call(tool_call_id=str(number), resource_id="bucket", operation="GetObject", duration_ms=duration)
        )
    with raw(ledger) as connection:
        yield connection


def parts(connection: sqlite3.Connection) -> tuple[list[int], list[tuple[int, str]]]:
    allocate(connection)
    taken = [row[0] for row in connection.execute("select cost_picos from allocation order by charge_id, audit_id")]
    return taken, connection.execute("select cost_picos, reason from allocation_rest order by charge_id").fetchall()


REQUESTS = {"resource_id": "arn:aws:s3:::bucket", "service": "AmazonS3", "operation": "GetObject", "unit": "Requests"}


def test_the_price_of_a_request_times_requests(book: sqlite3.Connection) -> None:
    add_charge(book, add_delivery(book), "1", "0.000004", quantity="10", **REQUESTS)
    assert parts(book) == ([400_000, 400_000], [(3_200_000, "not all metered")])


def test_a_request_line_has_nothing_to_do_with_other_operations(book: sqlite3.Connection) -> None:
    add_charge(book, add_delivery(book), "1", "1", quantity="10", **{**REQUESTS, "operation": "PutObject"})
    assert parts(book) == ([], [(10**12, "no tool call then")])


def test_reported_priced_and_superseded_calls_take_no_part(book: sqlite3.Connection, ledger: Ledger) -> None:
    book.commit()
    seen = tool_call(tool_call_id="3", resource_id="bucket", operation="GetObject")
    ledger.record_tool_call(**{**seen, "cost_usd": 0.5})
    ledger.record_tool_call(**{**seen, "tool": "u", "tool_call_id": "4"})
    ledger.record_tool_call(**{**seen, "tool_call_id": "5"})
    ledger.record_tool_call(**{**seen, "tool_call_id": "5", "status": "ok"})
    assert query(ledger, "select count(*) from superseded_tool_call") == [(1,)]
    ledger.set_tool_price("u", "0.25")
    add_charge(book, add_delivery(book), "1", "0.3", quantity="10", unit="GB-Mo", resource_id="bucket")
    assert parts(book)[0] == [10**11] * 3
    allocated = [row[0] for row in book.execute("select cost_source from tool_cost order by id")]
    assert allocated == ["allocated", "allocated", "reported", "tool_price", "allocated"]


def test_a_later_delivery_counts_instead(book: sqlite3.Connection) -> None:
    add_charge(book, add_delivery(book), "1", "1", resource_id="bucket")
    add_charge(book, add_delivery(book, "second"), "1", "2", resource_id="bucket")
    assert parts(book) == ([10**12, 10**12], [])
    assert parts(book) == ([10**12, 10**12], []), "again is the same"


def test_the_last_row_of_a_rule_holds(book: sqlite3.Connection) -> None:
    add_charge(book, add_delivery(book), "1", "3", resource_id="arn:aws:rds:::db:prod", service="AmazonRDS")
    insert(book, "allocation_rule", {"name": "db", "service": "AmazonRDS", "tool": "t", "method": "weighted"})
    assert parts(book)[0] == [15 * 10**11] * 2
    insert(
        book,
        "allocation_rule",
        {"name": "db", "service": "AmazonRDS", "tool": "t", "method": "weighted", "weight": "duration"},
    )
    assert parts(book)[0] == [10**12, 2 * 10**12]
    insert(book, "allocation_rule", {"name": "none", "method": "none", "priority": 1})
    assert parts(book) == ([], [(3 * 10**12, "by rule")])


def test_periods_of_any_length_of_one_resource(book: sqlite3.Connection) -> None:
    delivery = add_delivery(book)
    for number, (start, end) in enumerate(
        [("01-01", "02-01"), ("01-15", "01-16"), ("01-16", "01-17"), ("02-01", "02-02")]
    ):
        times = {"period_start": f"2026-{start}T00:00:00.000Z", "period_end": f"2026-{end}T00:00:00.000Z"}
        add_charge(book, delivery, str(number), "2", resource_id="bucket", **times)
    add_charge(book, delivery, "noon", "2", resource_id="bucket")
    late = [(2 * 10**12, "no tool call then")] * 2
    assert parts(book) == ([10**12] * 6, late)


def test_what_is_not_in_dollars_waits_for_a_rate(book: sqlite3.Connection) -> None:
    add_charge(book, add_delivery(book), "1", "2", currency="EUR", resource_id="bucket")
    assert parts(book) == ([], [])
    assert book.execute("select cost_usd, reason from unallocated_charge").fetchall() == [(None, "no exchange rate")]
    insert(book, "exchange_rate", {"currency": "EUR", "effective_from": "2026-01-01T00:00:00.000Z", "usd": 1.5})
    assert parts(book)[0] == [15 * 10**11] * 2


def test_it_remembers_what_it_was_made_of(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)
        [(kept, state)] = connection.execute(
            "select value, state from ledger_meta, allocation_state where key = 'allocated'"
        ).fetchall()
    assert kept == state
    assert json.loads(state)
    assert not query(ledger, "select * from temp.sqlite_schema")


def test_without_a_bill_there_is_nothing_to_do(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call())
    ledger.allocate()
    assert query(ledger, TABLES) == query(ledger, RESTS) == []
