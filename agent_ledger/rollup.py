"""The rollups: calls summed by what determines their cost, so that views need not read them one by one.

The table `usage_rollup` holds counts only; prices meet them in the view `rollup_cost`. A row's calls lie within one
bucket of time, and between two moments at which their price or their agent's assignment changes; where such a moment
comes or goes later, what it touches is summed anew. Functions on a connection; who calls them holds the write
transaction where one is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import astuple
from typing import Final, NamedTuple

from agent_ledger import archive_reading
from agent_ledger.pricing import RateKey

_TOTALS: Final = (
    *("calls", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cache_write_1h_tokens", "reasoning_tokens", "web_search_requests", "reported_4096ths", "reported_picos"),
)
_SHARED: Final = (  # by all agents
    *("model", "provider", "service_tier", "region", "min_tokens", "time_from"),
    *("prompt", "completion", "searches", "units", "reported", "anomaly", "off_tier"),
)
_PLACE: Final = ("key_id", "bucket", "rate_cut", "agent_cut", "customer_id")
_SEEN: Final = ("first_ts", "last_ts")
_SUMS: Final = (*_TOTALS, *_SEEN)
_START: Final = "0000-01-01T00:00:00.000Z"  # what completes the name of a bucket to its first moment
_COUNTS: Final = "not exists (select 1 from superseded_call where superseded_call.id = place.id)"


class Whose(NamedTuple):
    """Some calls: their columns in usage_place and usage_key, and the values that these have."""

    columns: tuple[str, ...]
    values: tuple[str, ...]
    grains: tuple[str, ...]  # which tell them from others

    def condition(self, table: str) -> str:
        return " and ".join(f"{table}.{column} = ?" for column in self.columns)


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
    return Whose(("agent_id",), (agent_id,), _BY_AGENT)


def of_rate(key: RateKey) -> Whose:
    """The calls that one combination of `rate_key` prices."""
    return Whose(("model", "provider", "service_tier", "region"), astuple(key), _ALL)


# -- summing ----------------------------------------------------------------------------------------------------------


def stage(connection: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> bool:
    """Sum the calls for which `condition` on usage_place holds, in temporary tables, one for each grain.

    Nothing is written to the file. Returns False, with nothing summed, where `usage_key` lacks combinations of these
    calls: `add_keys` first.
    """
    _empty_stage(connection)
    where = f"{condition} and not loose and {_COUNTS}"
    connection.execute(
        f"""
        insert into temp.placed
        select key_id, ts, rate_cut, agent_cut, customer_id, all_agents_id, 1, {", ".join(_TOTALS[1:])}, ts, ts, id
        from usage_place as place where {where}
        """,
        values,
    )
    if connection.execute("select exists (select 1 from temp.placed where key_id is null)").fetchone()[0]:
        return False
    connection.execute(
        f"""
        insert into temp.placed_units
        select key_id, ts, rate_cut, agent_cut, customer_id, all_agents_id, unit.key, unit.value
        from usage_place as place join json_each(place.usage) as unit
        where {where} and place.usage is not null and unit.value <> 0
        """,
        values,
    )
    _spread(connection, _GRAINS)
    return True


def add_keys(connection: sqlite3.Connection) -> None:
    """Add to `usage_key` what the calls that could not be staged have in common."""
    shared = ", ".join(_SHARED)
    missing = "from usage_place as place where place.id in (select id from temp.placed where key_id is null)"
    connection.execute(
        f"insert or ignore into usage_key (agent_id, feature, {shared}) select distinct '', '', {shared} {missing}"
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
        """
    )


def merge(connection: sqlite3.Connection, grains: Collection[str] = _ALL) -> None:
    """Add what was staged to the rollups."""
    place = f"""
      key_id, bucket,
      iif(max(rate_cut, agent_cut) > bucket || substr('{_START}', length(bucket) + 1), max(rate_cut, agent_cut), ''),
      customer_id
    """
    for grain in grains:
        connection.execute(
            f"""
            insert into usage_rollup
            select '{grain}', {place}, {", ".join(_SUMS)} from temp."{grain}" where true
            on conflict (grain, key_id, bucket, cut, customer_id) do update set {_added(_SUMS)}
            """
        )
        connection.execute(
            f"""
            insert into usage_unit_rollup
            select '{grain}', {place}, unit, quantity from temp."{grain}_units" where true
            on conflict (grain, key_id, bucket, cut, customer_id, unit) do update set {_added(("quantity",))}
            """
        )


def _added(columns: Sequence[str]) -> str:
    """How a row takes in another of the same place."""
    extremes = {"first_ts": "min(first_ts, excluded.first_ts)", "last_ts": "max(last_ts, excluded.last_ts)"}
    return ", ".join(f"{column} = {extremes.get(column, f'{column} + excluded.{column}')}" for column in columns)


def _empty_stage(connection: sqlite3.Connection) -> None:
    """Make the temporary tables: of calls as they are, and of each grain."""
    place, key = ", ".join((*_PLACE, "all_agents_id")), ", ".join(_PLACE)
    for name in ("placed", *_ALL):
        keys = ("", "") if name == "placed" else (f"primary key ({key})", f"primary key ({key}, unit)")
        last = "id" if name == "placed" else keys[0]
        _make(connection, name, f"{place}, {', '.join(_SUMS)}, {last}", keys[0])
        _make(connection, f"{name}_units", ", ".join(filter(None, (place, "unit", "quantity", keys[1]))), keys[1])


def _make(connection: sqlite3.Connection, name: str, columns: str, key: str) -> None:
    connection.execute(f'create temp table if not exists "{name}" ({columns}) {"without rowid" if key else ""}')
    connection.execute(f'delete from temp."{name}"')


def _spread(connection: sqlite3.Connection, grains: Sequence[_Grain]) -> None:
    """Sum what is staged for each grain, each from a finer one."""
    key = ", ".join(_PLACE)
    for grain in grains:
        key_id = "key_id" if grain.by_agent else "all_agents_id"
        agent_cut = "agent_cut" if grain.by_agent else "''"
        customer = "customer_id" if grain.by_customer else "''"
        place = f"{key_id}, substr(bucket, 1, {grain.digits}), rate_cut, {agent_cut}, {customer}, all_agents_id"
        sums = ", ".join((*_TOTALS, *("null", "null"))) if grain.by_customer else ", ".join(_SUMS)
        # Faster than a GROUP BY, which would sort all rows: those of one place come together.
        connection.execute(
            f'insert into temp."{grain.name}" select {place}, {sums} from temp."{grain.source}" where true '
            f"on conflict ({key}) do update set {_added(_SUMS)}"
        )
        connection.execute(
            f'insert into temp."{grain.name}_units" select {place}, unit, quantity from temp."{grain.source}_units" '
            f"where true on conflict ({key}, unit) do update set {_added(('quantity',))}"
        )


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
        " where grain in ('hour', 'day', 'month') and (first_ts is null or last_ts is null)"
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
    if moment[10:] != _START[10:]:
        _sum_day(connection, moment[:10], whose)
    _sum_month(connection, moment[:7], whose)


def begins_month(moment: str) -> bool:
    """Does a month begin at this moment?"""
    return moment[7:] == _START[7:]


def rebuild(connection: sqlite3.Connection, whose: Whose) -> None:
    """Sum all calls anew: the limits of their price's bands, or its parts of the day, have changed."""
    _clear(connection, whose, whose.grains, "")
    _sum(connection, f"place.id <= ? and {whose.condition('place')}", (_reached(connection), *whose.values))
    merge(connection, whose.grains)
    for _ in archive_reading.recalled(connection):
        _sum(connection, whose.condition("place"), whose.values)
        merge(connection, whose.grains)


def _sum_day(connection: sqlite3.Connection, day: str, whose: Whose) -> None:
    grains = [grain for grain in whose.grains if grain not in _MONTHS.values()]
    _clear(connection, whose, grains, day)
    reached = _reached(connection)
    stretches = connection.execute(
        "select first_id, last_id from rollup_chunk where substr(first_ts, 1, 10) <= ? and substr(last_ts, 1, 10) >= ?",
        [day, day],
    ).fetchall()
    for first, last in stretches:
        values = (first, min(last, reached), day, *whose.values)
        _sum(
            connection,
            f"place.id between ? and ? and substr(place.ts, 1, 10) = ? and {whose.condition('place')}",
            values,
        )
        merge(connection, grains)
    for _ in archive_reading.recalled(connection, f"{day}T", f"{day}U"):
        _sum(connection, whose.condition("place"), whose.values)
        merge(connection, grains)


def _sum_month(connection: sqlite3.Connection, month: str, whose: Whose) -> None:
    grains = {days: months for days, months in _MONTHS.items() if months in whose.grains}
    _clear(connection, whose, tuple(grains.values()), month)
    _empty_stage(connection)
    for days in grains:
        for units in ("", "_units"):
            _read_back(connection, days, units, month, whose)
    _spread(connection, [grain for grain in _GRAINS if grain.name in grains.values()])
    merge(connection, grains.values())


def _read_back(connection: sqlite3.Connection, days: str, units: str, month: str, whose: Whose) -> None:
    """Stage the days of a month as they stand in the rollups."""
    table = "usage_unit_rollup" if units else "usage_rollup"
    sums = ("unit", "quantity") if units else _SUMS
    starts = f"bucket || substr('{_START}', length(bucket) + 1)"
    connection.execute(
        f"""
        insert into temp."{days}{units}"
        with read as (
          select *, iif(cut = '', {starts}, cut) as since
          from {table} join usage_key on usage_key.id = key_id
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
        select key_id, bucket, iif(rate_since > ?, rate_since, ''), iif(agent_since > ?, agent_since, ''), customer_id,
          coalesce(all_agents_id, key_id), {", ".join(sums)}
        from placed where true
        on conflict ({", ".join(_PLACE)}{", unit" if units else ""}) do update set {_added(sums)}
        """,
        (days, f"{month}-", f"{month}.", *whose.values, *(2 * (f"{month}{_START[7:]}",))),
    )


def _clear(connection: sqlite3.Connection, whose: Whose, grains: Collection[str], bucket: str) -> None:
    """Take away what the rollups say of some calls, in buckets whose name begins with `bucket`."""
    for table in ("usage_rollup", "usage_unit_rollup"):
        for grain in grains:
            connection.execute(
                f"delete from {table} where grain = ? and bucket >= ? and bucket < ?"
                f" and key_id in (select id from usage_key where {whose.condition('usage_key')})",
                (grain, bucket, f"{bucket}~", *whose.values),
            )


def _sum(connection: sqlite3.Connection, condition: str, values: Sequence[object]) -> None:
    if not stage(connection, condition, values):
        add_keys(connection)
        stage(connection, condition, values)


def _reached(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select ledger_row from rollup_state").fetchone()[0])
