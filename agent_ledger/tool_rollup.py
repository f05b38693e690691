"""The rollups of tool calls: those of one agent, tool and price summed, so that views need not read them one by one.

As in `rollup`, a row's calls lie within one bucket of time, and between two moments at which their price or their
agent's assignment changes. What the tools' prices make of them is worked out in the view `tool_rollup_cost`. Functions
on a connection; who calls them holds the write transaction where one is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from agent_ledger import archive_reading
from agent_ledger.rollup import begins_month

BATCH: Final = 1_000  # loose calls that one transaction brings back

_SUMS: Final = ("calls", "failed_calls", "units", "cost_4096ths", "cost_picos")
_TAKEN: Final = ("allocated_calls", "allocated_4096ths", "allocated_picos")
_STAGED: Final = (*_SUMS, *_TAKEN)
_SHARED: Final = ("server", "tool", "unit", "units", "reported")  # by all agents
_PLACE: Final = ("key_id", "bucket", "price_cut", "agent_cut", "customer_id")
_START: Final = "0000-01-01T00:00:00.000Z"  # what completes the name of a bucket to its first moment
_SUMMED: Final = "place.id not in (select id from tool_loose)"
_COUNTS: Final = "place.id not in (select id from superseded_tool_call)"


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


class _Grain(NamedTuple):
    """How the rows of `source` become those of a coarser grain."""

    name: str
    source: str
    digits: int  # of a timestamp that name the bucket
    by_agent: bool
    by_customer: bool


_GRAINS: Final = (
    _Grain("agent_customer", "placed", 10, True, True),
    _Grain("customer_day", "agent_customer", 10, False, True),
    _Grain("customer_month", "customer_day", 7, False, True),
    _Grain("hour", "placed", 13, True, False),
    _Grain("day", "hour", 10, True, False),
    _Grain("month", "day", 7, True, False),
)
_ALL: Final = tuple(grain.name for grain in _GRAINS)
_BY_AGENT: Final = tuple(grain.name for grain in _GRAINS if grain.by_agent)
_MONTHS: Final = {"day": "month", "customer_day": "customer_month"}  # which follow from days


def of_agent(agent_id: str) -> Whose:
    """The calls of one agent."""
    return Whose("agent_id", agent_id, _BY_AGENT)


def of_tool(tool: str) -> Whose:
    """The calls of one tool, whoever offers it."""
    return Whose("tool", tool, _ALL)


# -- summing ----------------------------------------------------------------------------------------------------------


def stage(connection: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> bool:
    """Sum the calls for which `condition` on tool_place holds, in temporary tables, one for each grain.

    Nothing is written to the file. Returns False where `tool_key` lacks combinations of these calls: `add_keys` first.
    """
    _empty_stage(connection)
    connection.execute(
        f"""
        insert into temp.tool_placed
        select key_id, ts, price_cut, agent_cut, customer_id, all_agents_id,
          1, failed_calls, units_sum, cost_4096ths, cost_picos,
          (select sum(allocation.cost_picos) from allocation where allocation.audit_id = place.id), null, null,
          id, orphan
        from tool_place as place where {condition} and {_COUNTS}
        """,
        values,
    )
    if connection.execute("select exists (select 1 from temp.tool_placed where key_id is null)").fetchone()[0]:
        return False
    _spread(connection, _GRAINS)
    return True


def add_keys(connection: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> None:
    """Add what the calls for which `condition` holds have in common to `tool_key`, as far as it is new."""
    shared = ", ".join(_SHARED)
    missing = f"from tool_place as place where {condition} and key_id is null"
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


def merge(connection: sqlite3.Connection, grains: Collection[str] = _ALL, *, allocated_only: bool = False) -> None:
    """Add what was staged to the rollups."""
    place = f"""
      key_id, bucket,
      iif(max(price_cut, agent_cut) > bucket || substr('{_START}', length(bucket) + 1), max(price_cut, agent_cut), ''),
      customer_id
    """
    sums: list[tuple[str, Sequence[str], Sequence[str], str]] = [
        ("tool_allocated", _TAKEN, ("calls", "cost_4096ths", "cost_picos"), "allocated_calls > 0")
    ]
    if not allocated_only:
        sums.append(("tool_rollup", _SUMS, _SUMS, "true"))
    for grain in grains:
        for table, staged, columns, some in sums:
            connection.execute(
                f"""
                insert into {table} (grain, key_id, bucket, cut, customer_id, {", ".join(columns)})
                select '{grain}', {place}, {", ".join(staged)} from temp."tool_{grain}" where {some}
                on conflict (grain, key_id, bucket, cut, customer_id) do update set {_added(columns)}
                """
            )


def keep_orphans(connection: sqlite3.Connection) -> None:
    """Note which of the calls that were staged have no LLM call."""
    connection.execute("insert or ignore into tool_orphan (id) select id from temp.tool_placed where orphan")


def _added(columns: Sequence[str]) -> str:
    """How a row takes in another of the same place."""
    return ", ".join(f"{column} = {column} + excluded.{column}" for column in columns)


def _empty_stage(connection: sqlite3.Connection) -> None:
    """Make the temporary tables: of calls as they are, and of each grain."""
    columns = ", ".join((*_PLACE, "all_agents_id", *_STAGED))
    key = ", ".join(_PLACE)
    connection.execute(f"create temp table if not exists tool_placed ({columns}, id, orphan)")
    for grain in _ALL:
        connection.execute(
            f'create temp table if not exists "tool_{grain}" ({columns}, primary key ({key})) without rowid'
        )
    for name in ("placed", *_ALL):
        connection.execute(f'delete from temp."tool_{name}"')


def _spread(connection: sqlite3.Connection, grains: Sequence[_Grain]) -> None:
    """Sum what is staged for each grain, each from a finer one."""
    for grain in grains:
        key_id = "key_id" if grain.by_agent else "all_agents_id"
        agent_cut = "agent_cut" if grain.by_agent else "''"
        customer = "customer_id" if grain.by_customer else "''"
        place = f"{key_id}, substr(bucket, 1, {grain.digits}), price_cut, {agent_cut}, {customer}, all_agents_id"
        taken: Sequence[str] = _TAKEN
        if grain.source == "placed":  # where it is the whole amount of one call, or NULL
            parts = ("allocated_calls / 244140625", "allocated_calls % 244140625")
            taken = ("allocated_calls is not null", *(f"coalesce({part}, 0)" for part in parts))
        # Faster than a GROUP BY, which would sort all rows: those of one place come together.
        connection.execute(
            f'insert into temp."tool_{grain.name}" select {place}, {", ".join((*_SUMS, *taken))}'
            f' from temp."tool_{grain.source}" where true'
            f" on conflict ({', '.join(_PLACE)}) do update set {_added(_STAGED)}"
        )


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
        stage(connection, f"{taken} and {_SUMMED}", [reached])
        merge(connection, allocated_only=True)


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
    _sum(connection, loose, values)
    merge(connection)
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
    if moment[10:] != _START[10:]:
        _sum_day(connection, moment[:10], whose)
    _sum_month(connection, moment[:7], whose)


def _rebuild(connection: sqlite3.Connection, whose: Whose) -> None:
    _clear(connection, whose, whose.grains, "")
    _sum(connection, f"place.id <= ? and {_SUMMED} and {whose.condition('place')}", (_reached(connection), whose.value))
    merge(connection, whose.grains)
    for _ in archive_reading.recalled_tool_calls(connection):
        _sum(connection, whose.condition("place"), (whose.value,))
        merge(connection, whose.grains)


def _sum_day(connection: sqlite3.Connection, day: str, whose: Whose) -> None:
    grains = [grain for grain in whose.grains if grain not in _MONTHS.values()]
    _clear(connection, whose, grains, day)
    stretches = connection.execute(
        "select first_id, last_id from tool_chunk where substr(first_ts, 1, 10) <= ? and substr(last_ts, 1, 10) >= ?",
        [day, day],
    ).fetchall()
    for first, last in stretches:
        _sum(
            connection,
            f"place.id between ? and ? and substr(place.ts, 1, 10) = ? and {_SUMMED} and {whose.condition('place')}",
            (first, last, day, whose.value),
        )
        merge(connection, grains)
    for _ in archive_reading.recalled_tool_calls(connection, f"{day}T", f"{day}U"):
        _sum(connection, whose.condition("place"), (whose.value,))
        merge(connection, grains)


def _sum_month(connection: sqlite3.Connection, month: str, whose: Whose) -> None:
    grains = {days: months for days, months in _MONTHS.items() if months in whose.grains}
    _clear(connection, whose, tuple(grains.values()), month)
    _empty_stage(connection)
    for days in grains:
        _read_back(connection, days, month, whose)
    _spread(connection, [grain for grain in _GRAINS if grain.name in grains.values()])
    merge(connection, grains.values())


def _read_back(connection: sqlite3.Connection, days: str, month: str, whose: Whose) -> None:
    """Stage the days of a month as they stand in the rollups."""
    key = ("grain", "key_id", "bucket", "cut", "customer_id")
    same = " and ".join(f"taken.{column} = summed.{column}" for column in key)
    connection.execute(
        f"""
        insert into temp."tool_{days}"
        with read as (
          select summed.*, tool_key.agent_id, tool_key.tool, tool_key.reported, tool_key.all_agents_id,
            iif(summed.cut = '', summed.bucket || substr('{_START}', length(summed.bucket) + 1), summed.cut) as since,
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
        select key_id, bucket, iif(price_since > ?, price_since, ''), iif(agent_since > ?, agent_since, ''),
          customer_id, coalesce(all_agents_id, key_id), {", ".join(_STAGED)}
        from placed where true
        on conflict ({", ".join(_PLACE)}) do update set {_added(_STAGED)}
        """,
        (days, f"{month}-", f"{month}.", whose.value, *(2 * (f"{month}{_START[7:]}",))),
    )


def _clear(connection: sqlite3.Connection, whose: Whose, grains: Collection[str], bucket: str) -> None:
    """Take away what the rollups say of some calls, in buckets whose name begins with `bucket`."""
    for table in ("tool_rollup", "tool_allocated"):
        for grain in grains:
            connection.execute(
                f"delete from {table} where grain = ? and bucket >= ? and bucket < ?"
                f" and key_id in (select id from tool_key where {whose.condition('tool_key')})",
                (grain, bucket, f"{bucket}~", whose.value),
            )


def _sum(connection: sqlite3.Connection, condition: str, values: Sequence[object]) -> None:
    if not stage(connection, condition, values):
        add_keys(connection, condition, values)
        stage(connection, condition, values)


def _reached(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select audit_row from rollup_state").fetchone()[0])
