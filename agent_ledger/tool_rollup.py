"""The rollups of tool calls: those of one agent, tool and price summed, so that views need not read them one by one.

As in `rollup`, a row's calls lie within one bucket of time, and between two moments at which their price or their
agent's assignment changes. What the tools' prices make of them is worked out in the view `tool_rollup_cost`. Functions
on a connection; who calls them holds the write transaction where one is needed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from agent_ledger import archive_reading, grains
from agent_ledger.grains import MONTHS, START, Group, Place, Table
from agent_ledger.rollup import begins_month
from agent_ledger.tool_sums import TAKEN, TOTALS, Kinds, ToolSums

BATCH: Final = 1_000  # loose calls that one transaction brings back

_SHARED: Final = ("server", "tool", "unit", "units", "reported")  # by all agents
_KEY: Final = ("grain", "key_id", "bucket", "cut", "customer_id")
_CALLS: Final = Table("tool_rollup", ("customer_id",), TOTALS, {})
_ALLOCATED: Final = Table("tool_allocated", ("customer_id",), TAKEN, {})
_SUMMED: Final = "place.id not in (select id from tool_loose)"


class State(NamedTuple):
    """What the rollups are in step with, besides the calls: columns of rollup_state."""

    tool_assignment_row: int
    tool_price_row: int
    allocation_row: int
    charge_row: int
    delivery_row: int
    exchange_rate_row: int


_NEWEST: Final = {
    "tool_assignment_row": "select coalesce(max(id), 0) from agent_assignment",
    "tool_price_row": "select coalesce(max(id), 0) from tool_price",
    "allocation_row": "select coalesce(max(charge_id), 0) from allocation",
    "charge_row": "select coalesce(max(id), 0) from charge",
    "delivery_row": "select coalesce(max(id), 0) from delivery",
    "exchange_rate_row": "select coalesce(max(id), 0) from exchange_rate",
}
_MOVED: Final = """
  select agent_id, valid_from from agent_assignment as told
  where id > :known and not exists (
    select 1 from agent_assignment
    where agent_id = told.agent_id and valid_from = told.valid_from and id <= :known
  )
"""


class Whose(NamedTuple):
    """Some calls: their column in tool_place and tool_key, its value, and the grains that tell them from others."""

    column: str
    value: str
    grains: tuple[str, ...]

    def condition(self, table: str) -> str:
        return f"{table}.{self.column} = ?"


def of_agent(agent_id: str) -> Whose:
    """The calls of one agent."""
    return Whose("agent_id", agent_id, grains.BY_AGENT)


def of_tool(tool: str) -> Whose:
    """The calls of one tool, whoever offers it."""
    return Whose("tool", tool, grains.ALL)


# -- summing ----------------------------------------------------------------------------------------------------------


def stage(connection: sqlite3.Connection, kinds: Kinds, condition: str, values: Sequence[object] = ()) -> ToolSums:
    """Sum the calls for which `condition` on the row `place` of tool_attribution holds. Nothing is written to the file.

    Ask for their places before they are merged.
    """
    staged = ToolSums(connection, kinds)
    staged.read(condition, values)
    return staged


def add_keys(connection: sqlite3.Connection, calls: Sequence[int]) -> None:
    """Add to `tool_key` what calls have in common, each of them an example."""
    shared = ", ".join(_SHARED)
    missing = "from tool_place as place where place.id in (select value from json_each(?))"
    values = [json.dumps(calls)]
    connection.execute(
        f"insert or ignore into tool_key (agent_id, feature, {shared}) select distinct '', '', {shared} {missing}",
        values,
    )
    connection.execute(
        f"""
        insert or ignore into tool_key (agent_id, feature, {shared}, all_agents_id)
        select distinct agent_id, feature, {shared}, (
          select id from tool_key as together
          where together.agent_id = '' and together.feature = ''
            and {" and ".join(f"together.{column} = place.{column}" for column in _SHARED)}
        )
        {missing}
        """,
        values,
    )


def put(connection: sqlite3.Connection, staged: ToolSums, of: Collection[str] = grains.ALL) -> None:
    """Put what was staged into temporary tables, as rows of some grains. All places are known."""
    _put(connection, grains.spread(staged.hours(), staged.customers(), of))


def merge(connection: sqlite3.Connection) -> None:
    """Add what was put to the rollups."""
    _CALLS.merge(connection)
    _ALLOCATED.merge(connection)


def _put(connection: sqlite3.Connection, spread_out: Iterable[tuple[str, list[Group]]]) -> None:
    key, sums = len(_KEY), len(_KEY) + len(TOTALS)
    found = grains.rows(spread_out, len(TOTALS) + len(TAKEN))
    _CALLS.put(connection, (row[:sums] for row in found))
    _ALLOCATED.put(connection, (row[:key] + row[sums:] for row in found if row[sums]))


# -- keeping in step --------------------------------------------------------------------------------------------------


def mend(connection: sqlite3.Connection, *, reallocated: bool = False) -> None:
    """Bring the rollups in step with the assignments, the tools' prices and the bills.

    `reallocated`: the allocation of the bills to tool calls was made anew.
    """
    known = State(*connection.execute(f"select {', '.join(State._fields)} from rollup_state").fetchone())
    newest = State(*connection.execute(f"select {', '.join(f'({sql})' for sql in _NEWEST.values())}").fetchone())
    if known == newest and not reallocated:
        return
    for agent_id, moment in connection.execute(_MOVED, {"known": known.tool_assignment_row}).fetchall():
        split(connection, moment, of_agent(agent_id))
    for tool, unit, *moments in connection.execute(
        "select tool, unit, effective_from, effective_to from tool_price where id > ?", [known.tool_price_row]
    ).fetchall():
        _follow_price(connection, tool, unit, [moment for moment in moments if moment is not None])
    if newest.allocation_row != known.allocation_row or reallocated:
        _sum_allocated(connection)
    _sum_rest(connection)
    columns = ", ".join(f"{column} = ?" for column in State._fields)
    connection.execute(f"update rollup_state set changes = changes + 1, {columns}", newest)


def _follow_price(connection: sqlite3.Connection, tool: str, unit: str | None, moments: Sequence[str]) -> None:
    by_itself = "select exists (select 1 from tool_key where tool = ? and unit = ? and units = 2)"
    if unit is not None and connection.execute(by_itself, [tool, unit]).fetchone()[0]:
        _rebuild(connection, of_tool(tool))  # what a price makes of each call is summed
        return
    for moment in moments:
        split(connection, moment, of_tool(tool))


def _sum_allocated(connection: sqlite3.Connection) -> None:
    connection.execute("delete from tool_allocated")
    taken = "place.id in (select audit_id from allocation where audit_id <= ?)"
    if reached := _reached(connection):
        staged = stage(connection, Kinds(connection), f"{taken} and {_SUMMED}", [reached])
        staged.place()  # all calls up to there have a key
        put(connection, staged)
        _ALLOCATED.merge(connection)


def _sum_rest(connection: sqlite3.Connection) -> None:
    connection.execute("delete from rest_rollup")
    connection.execute(
        """
        insert into rest_rollup
        select substr(period_start, 1, 10), sum(cost_picos / 244140625), sum(cost_picos % 244140625)
        from unallocated_charge where cost_picos is not null
        group by 1
        """
    )


def bring_back(connection: sqlite3.Connection) -> bool:
    """Sum some of the calls that were taken out of the sums where they belong now. Returns whether there are more."""
    there = "select id from tool_loose where id <= (select audit_row from rollup_state) order by id limit ?"
    batch = [row_id for (row_id,) in connection.execute(there, [BATCH + 1])]
    if not batch:
        return False
    values = (batch[:BATCH][-1],)
    loose = "place.id in (select id from tool_loose where id <= ?)"
    _sum(connection, grains.ALL, loose, *values)
    connection.execute(
        "delete from tool_orphan where id <= ? and id in (select id from tool_loose)"
        " and id in (select id from tool_attribution where call_id is not null)",
        values,
    )
    connection.execute("delete from tool_loose where id <= ?", values)
    return len(batch) > BATCH


def split(connection: sqlite3.Connection, moment: str, whose: Whose) -> None:
    """Sum anew the buckets around `moment`, at which a price or an assignment changes."""
    used = f"select exists (select 1 from tool_key where {whose.condition('tool_key')})"
    if begins_month(moment) or not connection.execute(used, [whose.value]).fetchone()[0]:
        return
    if moment[10:] != START[10:]:
        _sum_day(connection, moment[:10], whose)
    _sum_month(connection, moment[:7], whose)


def _rebuild(connection: sqlite3.Connection, whose: Whose) -> None:
    _clear(connection, whose, whose.grains, "")
    summed = f"place.id <= ? and {_SUMMED} and {whose.condition('place')}"
    _sum(connection, whose.grains, summed, _reached(connection), whose.value)
    for _ in archive_reading.recalled_tool_calls(connection):
        _sum(connection, whose.grains, whose.condition("place"), whose.value)


def _sum_day(connection: sqlite3.Connection, day: str, whose: Whose) -> None:
    days = [grain for grain in whose.grains if grain not in MONTHS.values()]
    _clear(connection, whose, days, day)
    stretches = connection.execute(
        "select first_id, last_id from tool_chunk where substr(first_ts, 1, 10) <= ? and substr(last_ts, 1, 10) >= ?",
        [day, day],
    ).fetchall()
    within = f"place.id between ? and ? and substr(place.ts, 1, 10) = ? and {_SUMMED} and {whose.condition('place')}"
    for first, last in stretches:
        _sum(connection, days, within, first, last, day, whose.value)
    for _ in archive_reading.recalled_tool_calls(connection, f"{day}T", f"{day}U"):
        _sum(connection, days, whose.condition("place"), whose.value)


def _sum(connection: sqlite3.Connection, of: Collection[str], condition: str, *values: object) -> None:
    """Add some calls to some grains."""
    staged = stage(connection, Kinds(connection), condition, values)
    if missing := staged.place():
        add_keys(connection, missing)
        staged.place()
    put(connection, staged, of)
    merge(connection)


def _sum_month(connection: sqlite3.Connection, month: str, whose: Whose) -> None:
    months = [grain for grain in MONTHS.values() if grain in whose.grains]
    _clear(connection, whose, months, month)
    for days, grain in MONTHS.items():
        if grain in months:
            groups = grains.coarser(_read_back(connection, days, month, whose), grain)
            _put(connection, [(grain, groups)])
            merge(connection)


def _read_back(connection: sqlite3.Connection, days: str, month: str, whose: Whose) -> Iterator[Group]:
    """The days of a month as they stand in the rollups."""
    same = " and ".join(f"taken.{column} = summed.{column}" for column in _KEY)
    found = connection.execute(
        f"""
        with read as (
          select summed.*, tool_key.agent_id, tool_key.tool, tool_key.reported, tool_key.all_agents_id,
            iif(summed.cut = '', summed.bucket || substr('{START}', length(summed.bucket) + 1), summed.cut) as since,
            coalesce(taken.calls, 0) as allocated_calls,
            coalesce(taken.cost_4096ths, 0) as allocated_4096ths,
            coalesce(taken.cost_picos, 0) as allocated_picos
          from tool_rollup as summed
          join tool_key on tool_key.id = summed.key_id
          left join tool_allocated as taken on {same}
          where summed.grain = ? and summed.bucket >= ? and summed.bucket < ? and {whose.condition("tool_key")}
        ),
        placed as (
          select *,
            iif(reported, '', coalesce((
              select max(iif(effective_to <= since, effective_to, effective_from)) from tool_price
              where tool_price.tool = read.tool and effective_from <= since
            ), '')) as price_since,
            coalesce((
              select max(valid_from) from agent_assignment
              where agent_assignment.agent_id = read.agent_id and valid_from <= since
            ), '') as agent_since
          from read
        )
        select key_id, coalesce(all_agents_id, key_id), iif(price_since > ?, price_since, ''),
          iif(agent_since > ?, agent_since, ''), bucket, customer_id, {", ".join(TOTALS)},
          allocated_calls, allocated_4096ths, allocated_picos
        from placed
        """,
        (days, f"{month}-", f"{month}.", whose.value, *(2 * (f"{month}{START[7:]}",))),
    ).fetchall()
    return (Group(Place(*row[:4]), row[4], (), {row[5]: list(row[6:])}) for row in found)


def _clear(connection: sqlite3.Connection, whose: Whose, grains: Collection[str], bucket: str) -> None:
    """Take away what the rollups say of some calls, in buckets whose name begins with `bucket`."""
    for table in ("tool_rollup", "tool_allocated"):
        for grain in grains:
            connection.execute(
                f"delete from {table} where grain = ? and bucket >= ? and bucket < ?"
                f" and key_id in (select id from tool_key where {whose.condition('tool_key')})",
                (grain, bucket, f"{bucket}~", whose.value),
            )


def _reached(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select audit_row from rollup_state").fetchone()[0])
