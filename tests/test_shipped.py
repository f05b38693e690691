"""What is shipped, as data, and what the far side makes of it."""

from __future__ import annotations

from typing import Any

import accounts
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import call, query, raw, spent, temporary_ledger, tool_call

from agent_ledger import Ledger, closing, schema, shipped
from agent_ledger.shipped import SHIPPED, SNAPSHOTS, Shipped, Snapshot

pytestmark = pytest.mark.usefixtures("no_sources")

# Tables that stay at home: rollups and what keeps them in step, the archive, what the far side derives itself, and the
# closed loop, which runs where the calls are made.
AT_HOME = {
    *("archive", "ledger_meta", "rollup_chunk", "rollup_state", "usage_key", "usage_loose", "usage_rollup"),
    *("usage_unit_rollup", "rest_rollup", "tool_allocated", "tool_chunk", "tool_key", "tool_loose", "tool_orphan"),
    *("tool_rollup", "rate", "superseded_call", "superseded_tool_call", "ship_cursor"),
    *("budget", "budget_exception", "budget_window", "control_event", "directive", "enforced_call", "loop_lease"),
    *("notification", "policy_rule", "reservation", "spend_counter", "spend_token"),
}


def read(ledger: Ledger, table: Shipped | Snapshot, number: int = 5) -> list[dict[str, Any]]:
    with raw(ledger) as connection:
        found = connection.execute(shipped.selection(table), {"number": number})
        return [dict(zip(shipped.far_columns(table.name), row, strict=True)) for row in found]


def table(name: str) -> Any:
    return next(one for one in (*SHIPPED, *SNAPSHOTS) if one.name == name)


def test_every_table_is_shipped_or_known_to_stay() -> None:
    assert {one.name for one in (*SHIPPED, *SNAPSHOTS)} | AT_HOME == schema.scripts("tables").keys()


@pytest.mark.parametrize("one", [*SHIPPED, *SNAPSHOTS], ids=lambda one: one.name)
def test_columns_are_those_of_the_table(ledger: Ledger, one: Shipped | Snapshot) -> None:
    columns = [row[0] for row in query(ledger, f"select name from pragma_table_info('{one.name}')")]
    assert list(shipped.far_columns(one.name)) == ["host", *columns]
    assert {*one.key, *one.references} <= set(columns)
    if isinstance(one, Shipped):
        assert {one.cursor, *filter(None, [one.day])} <= set(columns)
        assert not one.by_time or "recorded_at" in columns


def test_a_row_is_as_it_was_and_its_id_says_whose_it_is(ledger: Ledger) -> None:
    spent(ledger)
    rows = read(ledger, table("ledger"))
    for row, own in zip(rows, ledger.rows("ledger"), strict=True):
        assert row == {"host": 5, **own, "id": 5 << 33 | own["id"]}


@pytest.mark.parametrize("number", [0, 1, (1 << 30) - 1])
def test_the_highest_id_is_a_number_of_64_bits(ledger: Ledger, number: int) -> None:
    last = (1 << shipped.ROW_BITS) - 1
    with raw(ledger) as connection:
        connection.execute("pragma foreign_keys = off")
        connection.execute("insert into unreported_call values (?)", [last])
    assert [row["id"] for row in read(ledger, table("unreported_call"), number)] == [number << 33 | last]
    assert number << 33 | last < 1 << 63


def test_what_is_recorded_later_has_the_higher_id_on_whatever_host() -> None:
    ids = []
    recorded = (
        (900, "01T00:00:00.000"),
        (3, "02T00:00:00.999"),
        (2**30 - 1, "02T00:00:01.000"),
        (1, "02T00:00:01.001"),
    )
    for number, moment in recorded:
        with temporary_ledger() as ledger:
            for agent in "ab":
                with raw(ledger) as connection:
                    connection.execute(
                        "insert into agent_assignment (agent_id, valid_from, team, recorded_at)"
                        " values (?, '2026-01-01T00:00:00.000Z', 't', ?)",
                        [agent, f"2026-01-{moment}Z"],
                    )
            ids += [row["id"] for row in read(ledger, table("agent_assignment"), number)]
    assert ids == sorted(set(ids))
    assert len(ids) == 8


def test_references_point_to_what_they_did(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        for name in ("one", "two"):
            connection.execute(
                "insert into delivery (format, bill, billing_period, content, name) values ('cur', 'b', '2026-01',"
                " 'charges', ?)",
                [name],
            )
        connection.execute(
            "insert into charge (delivery_id, charge_id, period_start, period_end, provider, cost, cost_picos) values"
            " (2, 'c', '2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', 'aws', '1', 1000000000000)"
        )
    deliveries = {row["name"]: row["id"] for row in read(ledger, table("delivery"))}
    assert read(ledger, table("charge"))[0]["delivery_id"] == deliveries["two"]


def test_a_close_says_how_far_the_tables_reached_there(ledger: Ledger) -> None:
    spent(ledger)
    with raw(ledger) as connection:
        closing.close(connection, "2026-01", reason="month end")
    [close] = read(ledger, table("period_close"))
    last = {name: max(row["id"] for row in read(ledger, table(name))) for name in ("ledger", "agent_assignment")}
    assert (close["ledger_row"], close["agent_assignment_row"]) == (last["ledger"], last["agent_assignment"])
    assert (close["audit_row"], close["exchange_rate_row"]) == (0, 0)
    assert {row["close_id"] for row in read(ledger, table("closed_figure"))} == {close["id"]}


def test_a_new_allocation_is_noticed(ledger: Ledger) -> None:
    version = table("allocation").version
    before = query(ledger, version)
    ledger.allocate()
    assert query(ledger, version) != before


# -- what the triggers of one file say, as one statement --------------------------------------------------------------

slow = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@slow
@given(st.lists(accounts.calls(), min_size=4, max_size=14))
def test_the_far_statement_says_of_calls_what_the_triggers_do(facts: list[dict[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        ledger.record_calls(facts)
        found = sorted(query(ledger, schema.scripts("far")["superseded_call"]))
        assert found == query(ledger, "select id, by_id, reason from superseded_call order by id")


@slow
@given(st.lists(accounts.tool_calls(), min_size=4, max_size=14))
def test_the_far_statement_says_of_tool_calls_what_the_trigger_does(facts: list[dict[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        ledger.record_tool_calls(facts)
        found = sorted(row[0] for row in query(ledger, schema.scripts("far")["superseded_tool_call"]))
        assert found == [row[0] for row in query(ledger, "select id from superseded_tool_call order by id")]


def test_rows_that_say_the_same_to_the_last_column_count_once(ledger: Ledger) -> None:
    """In one file there is no second such row; from two hosts there is."""
    ledger.record_call(**call())
    ledger.record_tool_call(**tool_call())
    with raw(ledger) as connection:
        for name in ("ledger", "audit"):
            columns = [column for column in shipped.columns(name) if column != "id"]
            connection.execute(f"create temp table {name} as select * from main.{name}")
            connection.execute(f"insert into temp.{name} select 7 << 33 | id, {', '.join(columns)} from main.{name}")
        for view in ("call_rank", "tool_call_rank"):
            connection.execute(f"create temp view {view} as {schema.scripts('views')[view]}")
        far = schema.scripts("far")
        assert connection.execute(far["superseded_call"]).fetchall() == [(7 << 33 | 1, 1, "duplicate")]
        assert connection.execute(far["superseded_tool_call"]).fetchall() == [(7 << 33 | 1, 1, "revised")]
