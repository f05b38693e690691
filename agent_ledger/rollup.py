"""The rollups: calls summed by what determines their cost, so that views need not read them one by one.

The table `usage_rollup` holds counts only; prices meet them in the view `rollup_cost`. A row's calls lie within one
bucket of time, and between two moments at which their price or their agent's assignment changes; where such a moment
comes or goes later, what it touches is summed anew. Functions on a connection; who calls them holds the write
transaction where one is needed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import Final, NamedTuple

from agent_ledger import archive_reading, grains
from agent_ledger.call_sums import TOTALS, CallSums, Kinds, adding
from agent_ledger.grains import MONTHS, START, Group, Place, Table
from agent_ledger.pricing import RateKey

_SHARED: Final = (  # by all agents
    *("model", "provider", "service_tier", "region", "min_tokens", "time_from"),
    *("prompt", "completion", "searches", "units", "reported", "anomaly", "off_tier"),
)


_CALLS: Final = Table(
    *("usage_rollup", ("customer_id",), (*TOTALS, "first_ts", "last_ts")),
    {"first_ts": "min(first_ts, excluded.first_ts)", "last_ts": "max(last_ts, excluded.last_ts)"},
)
_UNITS: Final = Table("usage_unit_rollup", ("customer_id", "unit"), ("quantity",), {})
_ADDING: Final = {_CALLS.name: adding, _UNITS.name: grains.add}


class Whose(NamedTuple):
    """Some calls: their columns in ledger and usage_key, and the values that these have."""

    columns: tuple[str, ...]
    values: tuple[str, ...]
    grains: tuple[str, ...]  # which tell them from others

    def condition(self, table: str) -> str:
        """Of usage_key or ledger, which says NULL for ''."""
        return " and ".join(f"coalesce({table}.{column}, '') = ?" for column in self.columns)


def of_agent(agent_id: str) -> Whose:
    """The calls of one agent."""
    return Whose(("agent_id",), (agent_id,), grains.BY_AGENT)


def of_rate(key: RateKey) -> Whose:
    """The calls that one combination of `rate_key` prices."""
    return Whose(("model", "provider", "service_tier", "region"), astuple(key), grains.ALL)


# -- summing ----------------------------------------------------------------------------------------------------------


def stage(connection: sqlite3.Connection, kinds: Kinds, condition: str, values: Sequence[object] = ()) -> CallSums:
    """Sum the calls for which `condition` on the row `place` of ledger holds. Nothing is written to the file.

    Ask `missing` before they are merged.
    """
    staged = CallSums(connection, kinds)
    staged.read(condition, values)
    return staged


def add_keys(connection: sqlite3.Connection, calls: Sequence[int]) -> None:
    """Add to `usage_key` what calls have in common, each of them an example."""
    shared = ", ".join(_SHARED)
    missing = "from usage_place as place where place.id in (select value from json_each(?))"
    values = [json.dumps(calls)]
    connection.execute(
        f"insert or ignore into usage_key (agent_id, feature, {shared}) select distinct '', '', {shared} {missing}",
        values,
    )
    connection.execute(
        f"""
        insert or ignore into usage_key (agent_id, feature, {shared}, all_agents_id)
        select distinct agent_id, feature, {shared}, (
          select id from usage_key as together
          where together.agent_id = '' and together.feature = ''
            and {" and ".join(f"together.{column} = place.{column}" for column in _SHARED)}
        )
        {missing}
        """,
        values,
    )


def put(connection: sqlite3.Connection, staged: CallSums, of: Collection[str] = grains.ALL) -> None:
    """Put what was staged into temporary tables, as rows of some grains. All places are known."""
    _put(connection, _CALLS, grains.spread(staged.hours(), staged.customers(), of, adding))
    _put(connection, _UNITS, grains.spread(staged.hour_units(), staged.customer_units(), of))


def merge(connection: sqlite3.Connection) -> None:
    """Add what was put to the rollups."""
    _CALLS.merge(connection)
    _UNITS.merge(connection)


def _put(connection: sqlite3.Connection, table: Table, spread_out: Iterable[tuple[str, list[Group]]]) -> None:
    table.put(connection, grains.rows(spread_out, len(table.sums), _ADDING[table.name]))


# -- summing anew -----------------------------------------------------------------------------------------------------


def mend(connection: sqlite3.Connection) -> None:
    """Bring the rollups in step with the assignments, and find first and last calls again where one was superseded."""
    (known,) = connection.execute("select agent_assignment_row from rollup_state").fetchone()
    moved = connection.execute(
        """
        select agent_id, valid_from from agent_assignment as told
        where id > :known and not exists (
          select 1 from agent_assignment
          where agent_id = told.agent_id and valid_from = told.valid_from and id <= :known
        )
        """,
        {"known": known},
    ).fetchall()
    for agent_id, moment in moved:
        split(connection, moment, of_agent(agent_id))
    connection.execute(
        "update rollup_state set changes = changes + 1, agent_assignment_row = newest"
        " from (select coalesce(max(id), 0) as newest from agent_assignment) where agent_assignment_row <> newest"
    )
    forgotten = connection.execute(
        "select distinct agent_id, substr(bucket, 1, 10) from usage_rollup join usage_key on usage_key.id = key_id"
        " where customer_id = '' and (first_ts is null or last_ts is null)"
    ).fetchall()
    for agent_id, bucket in forgotten:
        if len(bucket) > len("YYYY-MM"):
            _sum_day(connection, bucket, of_agent(agent_id))
    for agent_id, month in sorted({(agent_id, bucket[:7]) for agent_id, bucket in forgotten}):
        _sum_month(connection, month, of_agent(agent_id))


def split(connection: sqlite3.Connection, moment: str, whose: Whose) -> None:
    """Sum anew the buckets around `moment`, at which a price or an assignment changes, or no longer does."""
    if begins_month(moment):
        return  # and with it every bucket
    if moment[10:] != START[10:]:
        _sum_day(connection, moment[:10], whose)
    _sum_month(connection, moment[:7], whose)


def begins_month(moment: str) -> bool:
    """Does a month begin at this moment?"""
    return moment[7:] == START[7:]


def rebuild(connection: sqlite3.Connection, whose: Whose) -> None:
    """Sum all calls anew: the limits of their price's bands, or its parts of the day, have changed."""
    _clear(connection, whose, whose.grains, "")
    _sum(connection, whose, whose.grains, "place.id <= ?", _reached(connection))
    for _ in archive_reading.recalled(connection):
        _sum(connection, whose, whose.grains, "true")


def _sum_day(connection: sqlite3.Connection, day: str, whose: Whose) -> None:
    days = [grain for grain in whose.grains if grain not in MONTHS.values()]
    _clear(connection, whose, days, day)
    reached = _reached(connection)
    stretches = connection.execute(
        "select first_id, last_id from rollup_chunk where substr(first_ts, 1, 10) <= ? and substr(last_ts, 1, 10) >= ?",
        [day, day],
    ).fetchall()
    within = "place.id between ? and ? and substr(place.ts, 1, 10) = ?"
    for first, last in stretches:
        _sum(connection, whose, days, within, first, min(last, reached), day)
    for _ in archive_reading.recalled(connection, f"{day}T", f"{day}U"):
        _sum(connection, whose, days, "true")


def _sum(connection: sqlite3.Connection, whose: Whose, of: Collection[str], condition: str, *values: object) -> None:
    """Add some of the calls of `whose` to some grains."""
    staged = stage(
        connection, Kinds(connection), f"{condition} and {whose.condition('place')}", (*values, *whose.values)
    )
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
            for table in (_CALLS, _UNITS):
                groups = grains.coarser(_read_back(connection, days, month, whose, table), grain, _ADDING[table.name])
                _put(connection, table, [(grain, groups)])
            merge(connection)


def _read_back(connection: sqlite3.Connection, days: str, month: str, whose: Whose, table: Table) -> Iterator[Group]:
    """The days of a month as they stand in the rollups."""
    starts = f"bucket || substr('{START}', length(bucket) + 1)"
    found = connection.execute(
        f"""
        with read as (
          select *, iif(cut = '', {starts}, cut) as since
          from {table.name} join usage_key on usage_key.id = key_id
          where grain = ? and bucket >= ? and bucket < ? and {whose.condition("usage_key")}
        ),
        placed as (
          select read.*,
            coalesce(rate.valid_from, (
              select max(valid_to) from rate
              where rate.model = read.model and rate.provider = read.provider
                and rate.service_tier = read.service_tier and rate.region = read.region and valid_to <= since
            ), '') as rate_since,
            coalesce((
              select max(valid_from) from agent_assignment
              where agent_assignment.agent_id = read.agent_id and valid_from <= since
            ), '') as agent_since
          from read
          left join rate
            on rate.model = read.model and rate.provider = read.provider
            and rate.service_tier = read.service_tier and rate.region = read.region
            and since >= rate.valid_from and since < rate.valid_to
            and read.time_from >= rate.time_from and read.time_from < rate.time_to
            and read.min_tokens >= rate.min_tokens and read.min_tokens < rate.max_tokens
        )
        select key_id, coalesce(all_agents_id, key_id), iif(rate_since > ?, rate_since, ''),
          iif(agent_since > ?, agent_since, ''), bucket, {", ".join((*table.rest, *table.sums))}
        from placed
        """,
        (days, f"{month}-", f"{month}.", *whose.values, *(2 * (f"{month}{START[7:]}",))),
    ).fetchall()
    sums = 5 + len(table.rest)
    return (Group(Place(*row[:4]), row[4], row[6:sums], {row[5]: list(row[sums:])}) for row in found)


def _clear(connection: sqlite3.Connection, whose: Whose, grains: Collection[str], bucket: str) -> None:
    """Take away what the rollups say of some calls, in buckets whose name begins with `bucket`."""
    for table in ("usage_rollup", "usage_unit_rollup"):
        for grain in grains:
            connection.execute(
                f"delete from {table} where grain = ? and bucket >= ? and bucket < ?"
                f" and key_id in (select id from usage_key where {whose.condition('usage_key')})",
                (grain, bucket, f"{bucket}~", *whose.values),
            )


def _reached(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select ledger_row from rollup_state").fetchone()[0])
