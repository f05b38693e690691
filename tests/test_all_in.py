"""Money is conserved: all-in figures against an oracle that reads tables only, on generated ledgers with bills."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from billed import MEASURES, all_in_rows, billed, stated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import (
    add_charge,
    add_delivery,
    call,
    counted,
    found_by,
    naive_cost,
    nearest_double,
    price,
    query,
    raw,
    temporary_ledger,
    tool_call,
)

from agent_ledger import Ledger, plugins
from agent_ledger.allocation import allocate

slow = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

HOURS = [f"2026-01-{day}T{hour}:30:00.000Z" for day in (15, 31) for hour in (12, 23)]
REQUESTS = st.sampled_from(["r1", "r2", "r3", "other1", "other2"])
RESOURCES = st.sampled_from([None, "bucket", "arn:aws:s3:::bucket", "table"])
DOLLARS = st.sampled_from(["0", "1", "-0.5", "0.000000000001", "0.1", "123456.789", "7000000", "-7000000"])


@pytest.fixture(autouse=True, scope="module")
def offline_sources() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "price_sources", list)
        yield


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    request = draw(REQUESTS)
    return call(
        request_id=request,
        # other1 and other2 are other accounts of responses that r1 and r2 have
        response_id=f"response-{request[-1]}-0123456789abcdef",
        agent_id=draw(st.sampled_from(["a", "b", "(unattributed)"])),
        customer_id=draw(st.sampled_from([None, "acme", "beta"])),
        feature=draw(st.sampled_from([None, "chat"])),
        model=draw(st.sampled_from(["m", "m", "unknown"])),
        evidence=draw(st.sampled_from(["response", "span", "log"])),
        prompt_tokens=draw(st.sampled_from([0, 1, 37, 10**9])),
        ts=draw(st.sampled_from(HOURS)),
    )


@st.composite
def tool_calls(draw: st.DrawFn) -> dict[str, Any]:
    return tool_call(
        request_id=draw(st.none() | REQUESTS | st.just("missing")),
        tool=draw(st.sampled_from(["get", "put", "paid"])),
        agent_id=draw(st.sampled_from([None, "a", "c"])),
        resource_id=draw(RESOURCES),
        status=draw(st.sampled_from([None, "ok", "error"])),
        cost_usd=draw(st.sampled_from([None, None, 0, 0.1, 2.5])),
        ts=draw(st.sampled_from(HOURS)),
    )


@st.composite
def charges(draw: st.DrawFn) -> dict[str, Any]:
    hour = draw(st.sampled_from(HOURS))[:13]
    return {
        "cost": draw(DOLLARS),
        "period_start": f"{hour}:00:00.000Z",
        "period_end": f"{hour}:59:59.999Z",
        "resource_id": draw(RESOURCES),
        "category": draw(st.sampled_from(["usage", "usage", "usage", "tax", "credit"])),
        "kind": draw(st.sampled_from(["cloud", "cloud", "cloud", "llm"])),
        "currency": draw(st.sampled_from(["USD", "USD", "USD", "EUR", "GBP"])),
    }


def fill(
    ledger: Ledger, facts: list[dict[str, Any]], used: list[dict[str, Any]], bills: list[list[dict[str, Any]]]
) -> None:
    ledger.assign("a", team="one", feature="search")
    ledger.assign("a", team="two", valid_from="2026-01-31")
    ledger.record_calls(facts)
    ledger.record_tool_calls({**fact, "tool_call_id": str(number)} for number, fact in enumerate(used))
    ledger.set_prices([price(input=1_234_567, output=7_654_321)])
    with raw(ledger) as connection:
        connection.execute(
            "insert into tool_price (tool, effective_from, price) values ('paid', '2026-01-20T00:00:00.000Z', 3)"
        )
        connection.execute(
            "insert into exchange_rate (currency, effective_from, usd) values ('EUR', '2026-01-20T00:00:00.000Z', 1.25)"
        )
        for number, lines in enumerate(bills):
            delivery = add_delivery(connection, str(number))
            for line, values in enumerate(lines):
                add_charge(connection, delivery, str(line), **values)
        allocate(connection)


def cloud_picos(ledger: Ledger) -> dict[int, tuple[str, int]]:
    """The day and amount of each cloud line that counts, by charge.id; without those that nobody converts."""
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "select * from charge where kind = 'cloud' and delivery_id = (select max(id) from delivery)"
        ).fetchall()
    converted = dict(query(ledger, "select id, cost_picos from billed_charge where currency <> 'USD'"))
    found = {}
    for row in rows:
        rate = {"USD": Decimal(1), "EUR": Decimal("1.25") if row["period_start"] > "2026-01-20" else None}
        if (worth := rate.get(row["currency"])) is not None:
            picos = int((Decimal(row["cost"]) * worth * 10**12).to_integral_value(ROUND_HALF_EVEN))
            if row["currency"] != "USD":  # SQL converts in double precision, once: from there on all is exact
                assert abs(converted[row["id"]] - picos) <= max(1, abs(picos) // 10**15)
                picos = converted[row["id"]]
            found[row["id"]] = row["period_start"][:10], picos
    return found


def oracle(ledger: Ledger) -> list[dict[str, Any]]:
    """Every amount there is, with its keys: LLM calls, tool calls, and what no tool call takes of each line."""
    standing = {row["id"]: row for row in counted(ledger)}
    by_id = dict(query(ledger, "select id, by_id from superseded_call"))
    requests = defaultdict(list)
    for row_id, request in query(ledger, "select id, request_id from ledger order by id"):
        requests[request].append(row_id)
    costs = naive_cost(ledger)
    found = [
        {"kind": "llm", "picos": costs[row_id], **_keys(row["ts"], row["agent_id"], row)}
        for row_id, row in standing.items()
    ]
    lines = cloud_picos(ledger)
    rest = {line: picos for line, (_, picos) in lines.items()}
    taken: dict[int, int] = defaultdict(int)
    for line, audit_id, picos in query(ledger, "select charge_id, audit_id, cost_picos from allocation"):
        taken[audit_id] += picos
        rest[line] -= picos
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        audited = connection.execute(
            "select * from audit where id not in (select id from superseded_tool_call)"
        ).fetchall()
    for row in audited:
        asked = [one for one in requests[row["request_id"]] if one in standing] or requests[row["request_id"]][:1]
        asking = asked[0] if asked else None
        while asking in by_id:
            asking = by_id[asking]
        llm = standing.get(asking) or {}
        picos = taken.get(row["id"])
        if row["cost_usd"] is not None:
            picos = int(Decimal(repr(row["cost_usd"])) * 10**12)
        elif row["tool"] == "paid" and row["ts"] > "2026-01-20":
            picos = 3
        agent = row["agent_id"] or llm.get("agent_id") or "(unattributed)"
        found.append({"kind": "tool", "picos": picos, **_keys(row["ts"], agent, llm)})
    key = dict.fromkeys(("agent", "team", "feature", "customer"), "(unallocated)")
    for line, (day, _) in lines.items():
        if rest[line]:
            found.append({"kind": "rest", "picos": rest[line], "day": day, "month": day[:7], **key})
    return found


def _keys(ts: str, agent: str, llm: dict[str, Any]) -> dict[str, str]:
    mine = agent == "a"
    return {
        "agent": agent,
        "team": ("two" if ts >= "2026-01-31" else "one") if mine else "(unattributed)",
        "feature": llm.get("feature") or ("search" if mine else "(unattributed)"),
        "customer": llm.get("customer_id") or "(unattributed)",
        "day": ts[:10],
        "month": ts[:7],
    }


@pytest.mark.slow
@slow
@given(
    st.lists(calls(), max_size=8),
    st.lists(tool_calls(), max_size=8),
    st.lists(st.lists(charges(), max_size=8), max_size=2),
)
def test_every_axis_is_the_sum_of_its_parts_and_together_everything(
    facts: list[dict[str, Any]], used: list[dict[str, Any]], bills: list[list[dict[str, Any]]]
) -> None:
    with temporary_ledger() as ledger:
        fill(ledger, facts, used, bills)
        parts = oracle(ledger)
        whole = sum(part["picos"] or 0 for part in parts)
        cloud = sum(picos for _, picos in cloud_picos(ledger).values())
        allocated = sum(picos for (picos,) in query(ledger, "select cost_picos from allocation"))
        tools = sum(part["picos"] or 0 for part in parts if part["kind"] == "tool") - allocated
        assert whole == sum(picos or 0 for picos in naive_cost(ledger).values()) + tools + cloud == stated(ledger)
        assert found_by(ledger, "unequal_all_in") == []
        cube = ledger.rows("daily_all_in")
        assert whole == sum(
            (row[f"{part}_4096ths"] or 0) * 244140625 + (row[f"{part}_picos"] or 0)
            for row in cube
            for part in ("llm", "tool")
        )
        for axis in ("agent", "team", "feature", "customer", "day", "month"):
            expected = {key: figures([part for part in parts if part[axis] == key]) for key in {p[axis] for p in parts}}
            assert all_in_rows(ledger, axis) == expected, axis


def figures(parts: list[dict[str, Any]]) -> tuple[Any, ...]:
    """MEASURES of some amounts, added up naively."""
    llm, tool = ([p for p in parts if (p["kind"] == "llm") is is_llm] for is_llm in (True, False))
    unpriced, uncosted = (sum(part["picos"] is None for part in some) for some in (llm, tool))

    def dollars(some: list[dict[str, Any]], nothing: float | None) -> float | None:
        known = [part["picos"] for part in some if part["picos"] is not None]
        return nearest_double(sum(known)) if known else nothing

    found = {
        "calls": len(llm),
        "tool_calls": sum(part["kind"] == "tool" for part in parts),
        "llm_usd": dollars(llm, None if unpriced else 0.0),
        "tool_usd": dollars(tool, None if uncosted else 0.0),
        "all_in_usd": dollars(parts, None),
        "unpriced_calls": unpriced,
        "uncosted_calls": uncosted,
    }
    return tuple(found[name] for name in MEASURES)


def test_requests_hold_what_is_theirs(ledger: Ledger) -> None:
    """All but tool calls without a request, and what nobody claimed of the bills."""
    billed(ledger)
    rows = ledger.rows("all_in_by_request")
    rest = query(ledger, "select sum(cost_picos) from unallocated_charge")[0][0]
    assert sum(round((row["all_in_usd"] or 0) * 1e12) for row in rows) == stated(ledger) - rest
