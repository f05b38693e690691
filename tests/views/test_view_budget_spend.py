"""Each budget's spend, in any zone and scope and however much is compacted, against an oracle that reads tables."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spending import parts
from support import add_bill, price, raw, temporary_ledger

from agent_ledger import Ledger, clock
from agent_ledger.control import asking, budgets, windows

NOW = "2026-02-10T12:00:00.000Z"
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")
KEYS = {
    "agent": ("a", "b"),
    "team": ("one", "two", "(unattributed)"),
    "feature": ("search", "chat", "(unattributed)"),
    "customer": ("acme", "(unattributed)"),
    "model": ("m", "unknown"),
    "everything": (None,),
}
pytestmark = pytest.mark.usefixtures("no_sources")

moments = st.builds(
    lambda day, minute: f"2026-{day}T{minute // 60:02}:{minute % 60:02}:00.000Z",
    st.sampled_from(["01-20", "01-31", "02-01", "02-08", "02-09", "02-10", "02-28"]),
    st.sampled_from([0, 30, 210, 240, 300, 1080, 1110, 1140, 1380, 1410, 1439]),
)
calls = st.fixed_dictionaries(
    {
        "ts": moments,
        "agent_id": st.sampled_from("ab"),
        "model": st.sampled_from(["m", "m", "unknown"]),
        "customer_id": st.sampled_from([None, "acme", "other"]),
        "feature": st.sampled_from([None, None, "chat"]),
        "prompt_tokens": st.sampled_from([None, 0, 100, 100_000]),
        "completion_tokens": st.just(10),
        "usage": st.sampled_from([None, {"u": 0.5}]),
    }
)
tool_calls = st.fixed_dictionaries(
    {"ts": moments, "agent_id": st.sampled_from("ab"), "cost_usd": st.sampled_from([None, 0.5, 1.25])}
)


def local(ts: str, zone: str, period: str) -> str:
    """The window that a moment falls into, without the table of windows."""
    day = datetime.fromisoformat(ts).astimezone(ZoneInfo(zone)).date()
    if period == "week":
        year, week, _ = date.isocalendar(day)
        return f"{year}-W{week:02}"
    return day.isoformat()[: 10 if period == "day" else 7]


def expected(spent: list[dict[str, Any]], budget: dict[str, Any]) -> tuple[int, int, int, int]:
    """Calls, cost in pico-dollars, calls and tool calls of unknown cost."""
    scope, key, kinds = (
        budget["scope"],
        budget["key"],
        ("llm",) if budget["basis"] == "llm" else ("llm", "tool", "rest"),
    )
    inside = [
        part
        for part in spent
        if part["kind"] in kinds
        and (scope == "everything" or part["kind"] != "rest")
        and (scope == "everything" or part[scope] == key)
        and local(part.get("ts") or f"{part['day']}T00:00:00.000Z", budget["zone"], budget["period"])
        == budget["window"]
    ]
    llm = [part["picos"] for part in inside if part["kind"] == "llm"]
    tools = [part["picos"] for part in inside if part["kind"] == "tool"]
    return len(llm), sum(part["picos"] or 0 for part in inside), llm.count(None), tools.count(None)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(calls, max_size=25),
    st.lists(tool_calls, max_size=8),
    st.one_of(st.none(), st.integers(0, 30)),
    st.sampled_from(ZONES),
    st.sampled_from(windows.PERIODS),
)
def test_it_is_what_the_tables_say(
    recorded: list[dict[str, Any]], used: list[dict[str, Any]], compacted: int | None, zone: str, period: str
) -> None:
    with temporary_ledger() as ledger:
        ledger.set_prices([price(input=2_000_000, output=5_000_000, units={"u": 3})])
        ledger.assign("a", team="one", feature="search")
        ledger.assign("a", team="two", valid_from="2026-02-09T03:30:00Z")
        ledger.record_calls({**one, "request_id": str(number)} for number, one in enumerate(recorded))
        ledger.record_tool_calls(
            {"tool": "t", "tool_call_id": str(number), "request_id": str(number), **one}
            for number, one in enumerate(used)
        )
        ledger.compact(up_to=compacted)
        with raw(ledger) as connection:
            for scope, keys in KEYS.items():
                for basis in ("llm", "all-in") if scope != "model" else ("llm",):
                    for key in keys:
                        name, limits = f"{scope} {key} {basis}", {"period": period, "limit": 1, "zone": zone}
                        budgets.set_budget(connection, scope, key, now=NOW, basis=basis, name=name, **limits)
            found = asking.rows(connection, "budget_spend", NOW)
        assert len(found) == 24
        spent = parts(ledger)
        for row in found:
            picos = row["cost_4096ths"] * 244140625 + row["cost_picos"]
            assert 0 <= row["cost_picos"] < 244140625
            told = (row["calls"], picos, row["unknown_calls"], row["uncosted_calls"])
            assert told == expected(spent, row), row["budget"]


def test_everything_all_in_has_the_bills_too(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)  # of which 0.000001 falls on a tool call
        january = {"valid_from": "2026-01-01", "period": "month", "limit": 1, "basis": "all-in"}
        budgets.set_budget(connection, "everything", None, now="2026-01-20T00:00:00.000Z", **january)
        [row] = asking.rows(connection, "budget_spend", "2026-01-20T00:00:00.000Z")
    assert row["cost_4096ths"] * 244140625 + row["cost_picos"] == 3_750_004_000_000


def test_tokens_and_the_days_before(ledger: Ledger) -> None:
    ledger.record_calls(
        {"agent_id": "a", "request_id": ts, "model": "m", "prompt_tokens": 100, "completion_tokens": out, "ts": ts}
        for ts, out in (
            ("2026-01-05", 1),
            ("2026-01-06", 7),
            ("2026-02-01", 10),
            ("2026-02-10", 20),
            ("2026-02-02", None),
        )
    )
    with raw(ledger) as connection:
        budgets.set_budget(connection, "agent", "a", now=NOW, period="month", tokens=1000)
        [row] = asking.rows(connection, "budget_spend", NOW)
    assert (row["calls"], row["tokens"], row["unknown_calls"]) == (3, 330, 1)
    assert json.loads(row["daily"]) == {"2026-01-06": 107, "2026-02-01": 110, "2026-02-02": 100, "2026-02-10": 120}


def test_without_windows_nothing_is_in_them(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        budgets.set_budget(connection, "agent", "a", now=NOW, period="month", limit=1)
        connection.execute("delete from budget_window")
    [row] = ledger.rows("budget_spend")
    assert (row["window"], row["calls"], clock.parse(row["now"])) == (None, 0, row["now"])
