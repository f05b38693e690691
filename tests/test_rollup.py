"""The rollups: whatever happens, in whatever order, sums over them are the sums over the calls."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import (
    add_prices,
    call,
    counted,
    exit_code,
    naive_cost,
    nearest_double,
    price,
    query,
    raw,
    start_child,
    temporary_ledger,
)

from agent_ledger import Ledger, compacting, rollup
from agent_ledger.reporting import AXES
from agent_ledger.schema import open_for_writing

slow = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
GRAINS = ("hour", "day", "month", "agent_customer", "customer_day", "customer_month")
NOBODY = "(unattributed)"

# Few of everything, so that much falls together: moments around the changes of prices, assignments, months and days.
MOMENTS = [
    *("2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z", "2026-02-09T23:30:00.000Z", "2026-02-10T00:00:00.000Z"),
    *("2026-02-10T09:29:59.999Z", "2026-02-10T09:30:00.000Z", "2026-02-10T16:30:00.000Z", "2026-02-28T12:00:00.000Z"),
    *("2026-03-01T00:00:00.000Z", "2026-03-15T00:30:00.000Z"),
]
moments = st.sampled_from(MOMENTS)
calls = st.fixed_dictionaries(
    {
        "ts": moments,
        "agent_id": st.sampled_from(["a", "b"]),
        "request_id": st.sampled_from([f"r{number}" for number in range(30)]),
        "model": st.sampled_from(["m", "n"]),
        "prompt_tokens": st.sampled_from([None, 0, 7, 150_000, 200_001]),
        "completion_tokens": st.sampled_from([None, 0, 3]),
        "evidence": st.sampled_from(["response", "log", "partial"]),
    },
    optional={
        "customer_id": st.sampled_from(["acme", "zeta"]),
        "feature": st.just("chat"),
        "service_tier": st.just("batch"),
        "tier_tokens": st.sampled_from([10, 300_000]),
        "web_search_requests": st.sampled_from([0, 2]),
        "reported_cost_usd": st.sampled_from([0.0, 0.25]),
        "anomaly": st.just("odd"),
        "usage": st.sampled_from([{"images": 2}, {"images": 0, "seconds": 3}, {"seconds": 1.25}, {}]),
    },
)
prices: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    model=st.sampled_from(["m", "n", "*"]),
    input=st.sampled_from([None, 3, 1_000_003]),
    output=st.sampled_from([None, 15, 5_000_000]),
    web_search=st.sampled_from([None, 10]),
    effective_from=st.one_of(st.none(), moments),
    effective_to=st.one_of(st.none(), st.just("2026-03-10T00:00:00.000Z")),
    above_tokens=st.sampled_from([None, None, 200_000, 100_000]),
    hours=st.sampled_from([None, None, ("09:30", "16:30"), ("16:30", "00:30")]),
    units=st.sampled_from([None, {"images": 7, "seconds": 11}]),
    discount=st.sampled_from([None, None, None, "0.5"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(calls, min_size=5, max_size=25)),
        st.tuples(st.just("compact"), st.integers(3, 30)),
        st.tuples(st.just("killed"), st.integers(1, 400)),
        st.tuples(st.just("overtaken"), st.lists(calls, min_size=1, max_size=9)),
        st.tuples(st.just("price"), prices),
        st.tuples(st.just("assign"), st.tuples(st.sampled_from(["a", "b"]), moments, st.sampled_from(["x", "y"]))),
        st.tuples(st.just("insert"), st.tuples(st.sampled_from(["a", "b"]), moments, st.sampled_from(["x", "y"]))),
    ),
    min_size=6,
    max_size=16,
)


pytestmark = pytest.mark.usefixtures("no_sources")


def compact(ledger: Ledger, rows: int | None = None, *, limit: int = compacting.STEP) -> int:
    """Compact the next `rows` calls, or all."""
    connection = open_for_writing(ledger.path, synchronous="off")
    try:
        rolled, _ = compacting.reach(connection)
        return compacting.compact(connection, up_to=None if rows is None else rolled + rows, rows=limit)
    finally:
        connection.close()


def compact_until(ledger: Ledger, last: int) -> None:
    """Compact in short steps, and be killed before a statement."""
    counter = itertools.count(1)

    def die(_: str) -> None:
        if next(counter) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with closing(open_for_writing(ledger.path, synchronous="off")) as connection:
        connection.set_trace_callback(die)
        compacting.compact(connection, rows=7)


def compact_while(ledger: Ledger, happens: Callable[[], object]) -> None:
    """Compact, and let something happen after each step was summed and before its sums are added."""
    put = rollup.put

    def overtaken(*given: Any) -> None:
        put(*given)
        happens()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollup, "put", overtaken)
        compact(ledger, 25, limit=11)


def set_price(ledger: Ledger, fields: dict[str, Any]) -> None:
    """Record a price list, later than those before."""
    (number,) = query(ledger, "select count(*) from price_revision")[0]
    recorded_at = f"2026-01-01T00:00:00.{number:03d}Z"
    hours, above = fields.pop("hours"), fields.pop("above_tokens")
    if fields["effective_from"] and fields["effective_to"] and fields["effective_from"] >= fields["effective_to"]:
        fields["effective_to"] = None
    dates = {name: fields[name] for name in ("model", "effective_from", "effective_to")}
    if fields.pop("discount"):
        add_prices(ledger, price(**dates, discount=Decimal("0.5"), priority=200), recorded_at=recorded_at)
        return
    rows = [price(**fields)]
    if above:
        rows.append(price(**fields | {"input": 77, "units": None}, above_tokens=above))
    if hours:
        rows.append(price(**fields | {"output": 99}, time_from=hours[0], time_to=hours[1]))
    add_prices(ledger, *rows, recorded_at=recorded_at)


def play(ledger: Ledger, step: tuple[str, Any]) -> None:
    """One step of a history."""
    what, given = step
    if what == "record":
        ledger.record_calls([call(**fields) for fields in given])
    elif what == "compact":
        compact(ledger, given, limit=11)
    elif what == "killed":
        assert exit_code(start_child(lambda: compact_until(ledger, given))) in (0, -signal.SIGKILL)
    elif what == "overtaken":
        compact_while(ledger, lambda: ledger.record_calls([call(**fields) for fields in given]))
    elif what == "price":
        set_price(ledger, dict(given))
    elif what == "assign":
        ledger.assign(given[0], team=given[2], valid_from=given[1])
    else:  # by hand, in plain SQL
        with raw(ledger) as connection:
            connection.execute("insert into agent_assignment (agent_id, valid_from, team) values (?, ?, ?)", given)


def team_of(assignments: list[tuple[Any, ...]], row: dict[str, Any]) -> str:
    """The agent's team at the time of the call, from the table only."""
    held = [one for one in assignments if one[1] == row["agent_id"] and one[2] <= row["ts"]]
    return max(held, key=lambda one: (one[2], one[0]))[3] if held else NOBODY


def expected(ledger: Ledger, *columns: str) -> dict[Any, tuple[int, int | None, int | None, float | None, int]]:
    """Calls, tokens, cost and unpriced calls by some columns, from the tables only."""
    costs = naive_cost(ledger)
    assignments = query(ledger, "select id, agent_id, valid_from, team from agent_assignment")
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in counted(ledger):
        row |= {"day": row["ts"][:10], "month": row["ts"][:7], "team": team_of(assignments, row)}
        groups[tuple(row[column] or NOBODY for column in columns)].append(row)
    return {
        key: (
            len(rows),
            total(row["prompt_tokens"] for row in rows),
            total(row["completion_tokens"] for row in rows),
            None if (cost := total(costs[row["id"]] for row in rows)) is None else nearest_double(cost),
            sum(costs[row["id"]] is None for row in rows),
        )
        for key, rows in groups.items()
    }


def total(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def shown(ledger: Ledger, view: str, *columns: str) -> dict[Any, tuple[Any, ...]]:
    names = ", ".join(columns)
    found = query(
        ledger, f"select {names}, calls, prompt_tokens, completion_tokens, cost_usd, unpriced_calls from {view}"
    )
    rows = {row[: len(columns)]: row[len(columns) :] for row in found}
    assert len(rows) == len(found)
    return rows


def added_up(ledger: Ledger, *columns: str) -> dict[Any, tuple[Any, ...]]:
    """The cube, whose rows are to be summed."""
    names = ", ".join(columns)
    found = query(
        ledger,
        f"select {names}, sum(calls), sum(prompt_tokens), sum(completion_tokens),"
        " sum(cost_4096ths) * 244140625 + sum(cost_picos), sum(unpriced_calls) from daily_cost"
        f" group by {names}",
    )
    return {
        row[: len(columns)]: (*row[-5:-2], None if row[-2] is None else nearest_double(row[-2]), row[-1])
        for row in found
    }


def assert_exact(ledger: Ledger) -> None:
    """Every view that adds up is what the calls say."""
    for axis in ("agent", "team", "customer", "model", "day", "month"):
        column = AXES[axis]
        assert shown(ledger, f"cost_by_{axis}", column) == expected(ledger, column), axis
    cube = ("day", "agent_id", "team", "feature", "customer_id", "model")
    assert added_up(ledger, *cube) == expected(ledger, *cube)
    calls = query(ledger, "select count(*) from usage")
    for grain in GRAINS:
        assert (
            query(ledger, "select coalesce(sum(calls), 0) from usage_cost where grain in (?, 'call')", grain) == calls
        )


@pytest.mark.slow
@given(steps)
@slow
def test_sums_over_rollups_are_sums_over_calls(history: list[tuple[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        for step in history:
            play(ledger, step)
        assert_exact(ledger)
        compact(ledger)
        assert_exact(ledger)
        assert held(ledger) == afresh(ledger)


def held(ledger: Ledger) -> Counter[tuple[Any, ...]]:
    """What the rollups hold, however they are divided."""
    found = query(
        ledger,
        """
        select grain, bucket, agent_id, model, service_tier, feature, customer_id, sum(calls), sum(prompt_tokens),
          sum(completion_tokens), sum(web_search_requests), sum(reported_4096ths), sum(reported_picos), min(first_ts),
          max(last_ts), (
            select json_group_object(unit, quantity) from (
              select unit, sum(quantity) as quantity from usage_unit_rollup
              where (grain, key_id, bucket, customer_id)
                = (usage_rollup.grain, usage_rollup.key_id, usage_rollup.bucket, usage_rollup.customer_id)
              group by unit order by unit
            )
          )
        from usage_rollup join usage_key on usage_key.id = key_id
        group by 1, 2, 3, 4, 5, 6, 7, key_id
        """,
    )
    return Counter(row for row in found)


def afresh(ledger: Ledger) -> Counter[tuple[Any, ...]]:
    """What they hold after everything was compacted anew."""
    with raw(ledger) as connection:
        for table in ("usage_rollup", "usage_unit_rollup", "usage_loose", "rollup_chunk"):
            connection.execute(f"delete from {table}")
        connection.execute("update rollup_state set ledger_row = 0")
    compact(ledger)
    return held(ledger)
