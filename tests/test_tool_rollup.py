"""The rollups of tool calls: whatever happens, in whatever order, the all-in views add up every fact once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spending import NOBODY, Part, by, dollars, of_kind, parts, total, unknown
from support import add_charge, add_delivery, call, price, query, raw, temporary_ledger, tool_call

from agent_ledger import Ledger, compacting, tool_rollup
from agent_ledger.schema import open_for_writing

slow = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
AXES = ("agent", "team", "feature", "customer", "day", "month")
pytestmark = pytest.mark.usefixtures("no_sources")
GRAINS = ("day", "month", "agent_customer", "customer_day", "customer_month")

# Few of everything, so that much falls together: moments around the changes of prices, assignments, months and days.
MOMENTS = [
    *("2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z", "2026-02-09T23:30:00.000Z", "2026-02-10T00:00:00.000Z"),
    *("2026-02-10T09:29:59.999Z", "2026-02-10T09:30:00.000Z", "2026-02-28T12:00:00.000Z", "2026-03-01T00:00:00.000Z"),
]
REQUESTS = [f"r{number}" for number in range(12)]
AGENTS = ["a", "b", NOBODY]
CALL: dict[str, list[Any]] = {
    "ts": MOMENTS,
    "agent_id": AGENTS,
    "request_id": REQUESTS,
    "prompt_tokens": [0, 7],
    "evidence": ["response", "log", "partial"],
    "model": ["m", "m", "unpriced"],
    "customer_id": [None, "acme", "zeta"],
    "feature": [None, None, "chat"],
    "response_id": [None, None, "short", *(f"response-{number}-0123456789abcdef" for number in range(6))],
    "part": [0, 0, 0, 1],
}
TOOL_CALL: dict[str, list[Any]] = {
    "ts": MOMENTS,
    "request_id": [None, *REQUESTS],
    "tool_call_id": [f"t{number}" for number in range(60)],
    "tool": ["get", "buy"],
    "server": [None, "s"],
    "agent_id": [None, *AGENTS],
    "units": [None, 0.0, 3.0, 0.125, 2e9],
    "unit": [None, "Requests", "seconds"],
    "cost_usd": [None, None, None, 0.0, 0.25, 7_000_000.0],
    "status": [None, "ok", "error"],
    "resource_id": [None, "bucket", "arn:aws:s3:::bucket"],
}
TOOL_PRICE: dict[str, list[Any]] = {
    "tool": ["get", "buy"],
    "price": [0, 3, 10**6 + 1],
    "server": [None, "s"],
    "unit": [None, "Requests", "seconds"],
    "effective_from": ["0001-01-01T00:00:00.000Z", *MOMENTS],
    "effective_to": [None, None, "2026-03-10T00:00:00.000Z"],
}
ASSIGNMENT: dict[str, list[Any]] = {
    "agent_id": AGENTS,
    "valid_from": MOMENTS,
    "team": ["x", "y"],
    "feature": [None, "f"],
}
LINE: dict[str, list[Any]] = {
    "cost": ["1", "-0.5", "0.000000000001", "1500000", "-1500000"],
    "resource_id": [None, "bucket", "bucket", "other"],
    "period_start": ["2026-01-31T00:00:00.000Z", "2026-02-10T00:00:00.000Z"],
    "period_end": ["2026-02-10T12:00:00.000Z", "2026-03-01T12:00:00.000Z"],
}


def some(choices: dict[str, list[Any]], count: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to so many rows, each value one of those that it may have."""
    seeds = st.integers(0, 2**32)  # a list of dictionaries of choices would be small and alike too often
    return seeds.map(lambda seed: _drawn(Random(seed), choices, count))


def _drawn(random: Random, choices: dict[str, list[Any]], count: int) -> list[dict[str, Any]]:
    return [{name: random.choice(values) for name, values in choices.items()} for _ in range(random.randint(1, count))]


CALLS, TOOL_CALLS = some(CALL, 6), some(TOOL_CALL, 20)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), CALLS),
        st.tuples(st.just("record"), CALLS),
        st.tuples(st.just("use"), TOOL_CALLS),
        st.tuples(st.just("use"), TOOL_CALLS),
        st.tuples(st.just("compact"), st.integers(3, 30)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("look"), st.none()),
        st.tuples(st.just("price"), some(TOOL_PRICE, 1)),
        st.tuples(st.just("insert price"), some(TOOL_PRICE, 1)),
        st.tuples(st.just("assign"), some(ASSIGNMENT, 1)),
        st.tuples(st.just("insert assignment"), some(ASSIGNMENT, 1)),
        st.tuples(st.just("bill"), some(LINE, 5)),
        st.tuples(st.sampled_from(["insert bill", "allocate", "forget allocation"]), some(LINE, 3)),
    ),
    min_size=4,
    max_size=14,
)
histories = st.tuples(CALLS, TOOL_CALLS, TOOL_CALLS, some(LINE, 5), steps).map(
    lambda told: [
        *(("record", told[0]), ("use", told[1]), ("use", told[2]), ("bill", told[3]), ("compact", None)),
        *told[4],
    ]
)


def compact(ledger: Ledger, rows: int | None = None) -> None:
    """Compact the next `rows` tool calls, or all."""
    connection = open_for_writing(ledger.path, synchronous="off")
    try:
        rolled, _ = compacting.tool_reach(connection)
        compacting.compact_tool_calls(connection, up_to=None if rows is None else rolled + rows, rows=7)
    finally:
        connection.close()


def insert(ledger: Ledger, name: str, **values: Any) -> None:
    """A row in plain SQL."""
    with raw(ledger) as connection:
        sql = f"insert into {name} ({', '.join(values)}) values ({', '.join('?' * len(values))})"
        connection.execute(sql, list(values.values()))


def play(ledger: Ledger, step: tuple[str, Any]) -> None:
    """One step of a history."""
    what, given = step
    if what == "record":
        ledger.record_calls([call(**fields) for fields in given])
    elif what == "use":
        ledger.record_tool_calls([tool_call(**fields) for fields in given])
    elif what == "compact":
        compact(ledger, given)
    elif what == "look":
        check(ledger)
    elif what == "price":
        ledger.set_tool_price(**given[0] | {"price": f"{given[0]['price'] / 10**12:.12f}"})
    elif what == "insert price":
        insert(ledger, "tool_price", **given[0])
    elif what == "assign":
        ledger.assign(**given[0])
    elif what == "insert assignment":
        insert(ledger, "agent_assignment", **given[0])
    else:
        change_bills(ledger, what, given)


def change_bills(ledger: Ledger, what: str, lines: list[dict[str, Any]]) -> None:
    with raw(ledger) as connection:
        if what == "forget allocation":
            connection.execute("delete from allocation")
            connection.execute("delete from allocation_rest")
        elif what != "allocate":  # another delivery of the same bill
            delivery = add_delivery(connection, str(connection.execute("select count(*) from delivery").fetchone()[0]))
            for number, line in enumerate(lines):
                add_charge(connection, delivery, str(number), **line)
    if what in ("bill", "allocate"):
        ledger.allocate()


def amounts(found: list[Part]) -> tuple[Any, ...]:
    """The columns of a view all_in_by_… behind its key."""
    llm, tool, rest = (of_kind(found, kind) for kind in ("llm", "tool", "rest"))
    of_tools = total([*tool, *rest])
    return (
        *(len(llm), len(tool)),
        dollars(total(llm) if total(llm) is not None or unknown(llm) else 0),
        dollars(of_tools if of_tools is not None or unknown(tool) else 0),
        dollars(total(found)),
        *(unknown(llm), unknown(tool)),
    )


def exactly(whole: int | None, rest: int | None) -> int | None:
    return None if whole is None or rest is None else whole * 244140625 + rest


def rows_by(ledger: Ledger, view: str, keys: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = [tuple(row.values()) for row in ledger.rows(view)]
    found = {row[:keys]: row[keys:] for row in rows}
    assert len(found) == len(rows), view
    return found


def added_up(ledger: Ledger, view: str, keys: int, *measures: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The rows of a cube, which are to be summed."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in ledger.rows(view):
        sums = found.setdefault(tuple(row.values())[:keys], [None] * len(measures))
        for place, measure in enumerate(measures):
            if row[measure] is not None:
                sums[place] = (sums[place] or 0) + row[measure]
    return {key: tuple(sums) for key, sums in found.items()}


def mapped(groups: dict[Any, list[Part]], values: Callable[[list[Part]], Any]) -> dict[Any, Any]:
    return {key: values(found) for key, found in groups.items()}


def check(ledger: Ledger) -> None:
    """Is every all-in view the sum of the facts?"""
    found = parts(ledger)
    for axis in AXES:
        assert rows_by(ledger, f"all_in_by_{axis}", 1) == mapped(by(found, axis), amounts), axis
    check_cubes(ledger, found)
    check_requests(ledger, found)
    check_months(ledger, found)
    tools = of_kind(found, "tool")
    orphans = {part["id"] for part in tools if part["orphan"]}
    assert {row["id"] for row in ledger.rows("orphan_tool_calls")} == orphans
    for grain in GRAINS:
        sums = query(
            ledger,
            "select count(cost_picos), sum(calls), sum(failed_calls), sum(uncosted_calls) from tool_usage_cost"
            " where grain in (?, 'call')",
            grain,
        )[0][1:]
        failed = sum(part["status"] == "error" for part in tools)
        assert sums == ((len(tools), failed, unknown(tools)) if tools else (None,) * 3), grain


def check_cubes(ledger: Ledger, found: list[Part]) -> None:
    axes = ("day", "agent", "team", "feature", "customer")
    cube = {
        key: (*row[:2], exactly(*row[2:4]), exactly(*row[4:6]), *row[6:])
        for key, row in added_up(
            ledger,
            "daily_all_in",
            5,
            *("calls", "tool_calls", "llm_4096ths", "llm_picos", "tool_4096ths", "tool_picos"),
            *("unpriced_calls", "uncosted_calls"),
        ).items()
    }
    assert cube == mapped(
        by(found, *axes),
        lambda some: (
            *(len(of_kind(some, kind)) for kind in ("llm", "tool")),
            *(total(of_kind(some, *kinds)) for kinds in (("llm",), ("tool", "rest"))),
            *(unknown(of_kind(some, kind)) for kind in ("llm", "tool")),
        ),
    )
    tools = [part | {"server": part["server"] or NOBODY} for part in of_kind(found, "tool")]

    def counts(some: list[Part]) -> tuple[Any, ...]:
        return len(some), sum(part["status"] == "error" for part in some), unknown(some), dollars(total(some))

    measures = ("calls", "failed_calls", "uncosted_calls", "cost_4096ths", "cost_picos")
    daily = {
        key: (*row[:3], dollars(exactly(*row[3:])))
        for key, row in added_up(ledger, "daily_tool_cost", 7, *measures).items()
    }
    assert daily == mapped(by(tools, *axes, "server", "tool"), counts)
    assert rows_by(ledger, "cost_by_tool", 2) == mapped(by(tools, "server", "tool"), counts)


def check_requests(ledger: Ledger, found: list[Part]) -> None:
    groups = by([part for part in found if part["request_id"]], "request_id")
    for (request,) in sorted(groups)[:2]:
        (alone,) = ledger.rows("all_in_by_request", request_id=request)
        assert tuple(alone.values())[3:] == amounts(groups[(request,)])
    rows = rows_by(ledger, "all_in_by_request", 1)
    assert {key: row[2:] for key, row in rows.items()} == mapped(groups, amounts)
    for key, row in rows.items():
        first = min(groups[key], key=lambda part: (part["kind"] != "llm", part["id"]))
        assert row[:2] == (first["agent"], first["customer_id"])


def check_months(ledger: Ledger, found: list[Part]) -> None:
    months = rows_by(ledger, "monthly_figure", 3)
    expected = {}
    for axis in (*AXES, "total", "model"):
        some = of_kind(found, "llm") if axis == "model" else [part | {"total": ""} for part in found]
        if axis != "month":
            for (month, key), group in by(some, "month", axis).items():
                llm, tool = of_kind(group, "llm"), of_kind(group, "tool")
                of_tools = (len(tool), total(of_kind(group, "tool", "rest")), unknown(tool))
                if axis == "model":
                    of_tools = (None, None, None)  # type: ignore[assignment]
                expected[(month, axis, key)] = (len(llm), total(llm), unknown(llm), *of_tools)
    for key, (calls, *_, llm_whole, llm_rest, unpriced, used, tool_whole, tool_rest, uncosted) in months.items():
        picos = (exactly(llm_whole, llm_rest), exactly(tool_whole, tool_rest))
        assert (calls, picos[0], unpriced, used, picos[1], uncosted) == expected[key], key
    assert months.keys() == expected.keys()
    shared = {(row["month"], row["agent_id"]): row["direct_usd"] for row in ledger.rows("shared_by_agent")}
    direct = by([part for part in found if part["kind"] != "rest"], "month", "agent")
    assert shared == mapped(direct, lambda some: dollars(total(some)))


@pytest.mark.slow
@slow
@given(histories)
def test_the_views_are_the_sum_of_the_facts_after_whatever_happened(history: list[tuple[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        ledger.set_prices([price(input=1_234_567, output=7_654_321)])
        for step in history:
            play(ledger, step)
        check(ledger)
        compact(ledger)
        check(ledger)


# -- plans ------------------------------------------------------------------------------------------------------------

VIEWS = [
    *(f"all_in_by_{axis}" for axis in AXES),
    "cost_by_tool",
    "shared_by_agent",
    "monthly_figure",
    "orphan_tool_calls",
]


def plan(ledger: Ledger, sql: str) -> list[str]:
    return [row[3] for row in query(ledger, f"explain query plan {sql}")]


@pytest.mark.parametrize("view", [*VIEWS, "daily_all_in", "daily_tool_cost"])
def test_no_view_scans_the_facts(ledger: Ledger, view: str) -> None:
    """It reads what came after the rollups by id, and the LLM calls of those by the index of requests."""
    facts = ("audit", "ledger", "other", "counted", "charge", "allocation")
    steps = [step.split() for step in plan(ledger, f"select * from {view}")]
    assert not [step for step in steps if step[0] == "SCAN" and step[1] in facts]


@pytest.mark.parametrize("condition", ["limit 101", "where request_id = 'r' limit 101"])
def test_requests_come_by_their_index_without_sorting_all(ledger: Ledger, condition: str) -> None:
    steps = plan(ledger, f"select * from all_in_by_request {condition}")
    read = [step for step in steps if "ledger USING INDEX ledger_request_id" in step]
    assert len(read) == 1
    first = steps.index(read[0])
    assert not any("TEMP B-TREE FOR GROUP BY" in step for step in steps[first : steps.index("UNION ALL", first)])
    assert not any(step.startswith("SCAN audit") for step in steps)


# -- what must not go wrong -------------------------------------------------------------------------------------------


def fill(ledger: Ledger, count: int) -> None:
    ledger.set_tool_price("t", "0.5")
    ledger.record_tool_calls(tool_call(tool_call_id=str(number), request_id=f"r{number}") for number in range(count))


def test_a_row_among_those_that_are_summed_is_refused(ledger: Ledger) -> None:
    fill(ledger, 3)
    compact(ledger)
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match=r"audit\.id rises"):
        connection.execute(
            "insert into audit (id, ts, tool_call_id, tool) values (2, '2026-01-01T00:00:00.000Z', 'x', 't')"
        )


def test_what_moves_while_it_is_summed_is_summed_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The LLM call of a tool call comes between the summing and the moment when the sums are added."""
    fill(ledger, 5)
    stage = tool_rollup.stage
    late = iter(["r3"])

    def overtaken(*given: Any) -> Any:
        done = stage(*given)
        if request := next(late, None):
            ledger.record_call(**call(request_id=request, agent_id="late"))
        return done

    compact(ledger, 2)  # so that the combinations are known
    monkeypatch.setattr(tool_rollup, "stage", overtaken)
    compact(ledger)
    assert query(ledger, "select ledger_row, audit_row from compacted") == [(0, 5)]
    found = query(ledger, "select agent_id, calls, cost_4096ths from tool_usage_cost where grain in ('month', 'call')")
    assert sorted(found) == [("(unattributed)", 4, 8192), ("late", 1, 2048)]
    check(ledger)


def test_killed_between_its_steps_it_goes_on_where_it_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger, 20)
    merge = tool_rollup.merge

    def killed(*given: Any) -> None:
        merge(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tool_rollup, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(ledger)
    assert query(ledger, "select audit_row, audit_reach from rollup_state") == [(0, 7)]
    ledger.record_call(**call(request_id="r3"))  # it was about to be summed
    assert query(ledger, "select id from tool_loose") == [(4,)]
    check(ledger)
    compact(ledger)
    assert query(ledger, "select audit_row, (select count(*) from tool_loose) from rollup_state") == [(20, 0)]
    check(ledger)


def test_what_moved_comes_back_in_batches(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_rollup, "BATCH", 3)
    fill(ledger, 10)
    compact(ledger)
    ledger.record_calls(call(request_id=f"r{number}") for number in range(8))
    assert query(ledger, "select count(*) from tool_loose") == [(8,)]
    check(ledger)
    compact(ledger)
    assert query(ledger, "select (select count(*) from tool_loose), (select count(*) from tool_orphan)") == [(0, 2)]
    check(ledger)


def test_a_new_price_touches_only_the_month_in_which_it_begins(ledger: Ledger) -> None:
    for month in range(1, 5):
        ledger.record_tool_call(tool="t", request_id="r", ts=f"2026-0{month}-15T12:00:00.000Z")
    compact(ledger)
    ledger.set_tool_price("t", "1", effective_from="2026-02-10")
    assert query(ledger, "select audit_row from compacted") == [(4,)]
    cuts = "select bucket, cut from tool_rollup where grain = 'month' order by 1"
    moment = "2026-02-10T00:00:00.000Z"
    assert query(ledger, cuts) == [("2026-01", ""), ("2026-02", moment), ("2026-03", ""), ("2026-04", "")]
    check(ledger)
