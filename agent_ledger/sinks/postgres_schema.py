"""What a ledger's tables and views are on PostgreSQL, and making what is missing of them.

Text compares by its bytes, as in SQLite. `ledger` and `audit` are divided by months of their time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, Final

from agent_ledger import shipped
from agent_ledger.errors import LedgerError
from agent_ledger.schema import scripts
from agent_ledger.shipped import SHIPPED, SNAPSHOTS

LOCK: Final = 0x41474C44  # "AGLD", the advisory lock of everything that only one may do at a time
PARTITIONED: Final = frozenset(("ledger", "audit"))
LARGE: Final = frozenset(table.name for table in SHIPPED if table.cursor == "id" and not table.by_time)
COUNTED: Final = {  # whose rows may tell of the same: the table that says which do not count, and the view that ranks
    "ledger": ("superseded_call", "call_rank"),
    "audit": ("superseded_tool_call", "tool_call_rank"),
}
KEYS: Final = {
    **{table.name: table.key for table in SHIPPED},
    **{table.far_name or table.name: table.key for table in SNAPSHOTS},
}
_TYPES: Final = {"INTEGER": "bigint", "TEXT": "text", "REAL": "double precision"}
_BYTES: Final = '"C"'
_DERIVED: Final = {
    "superseded_call": ("id",),
    "superseded_tool_call": ("id",),
    "rate": ("model", "provider", "service_tier", "region", "valid_from", "time_from", "min_tokens"),
    "rate_key": ("model", "provider", "service_tier", "region"),
    "ledger_meta": ("key",),
}
_INDEXES: Final = {
    "ledger": (
        "(request_id)",
        "(hashtextextended(response_id, 0)) where response_id is not null",
        "(hashtextextended(request_id, 0)) where response_id is null or length(response_id) < 20",
    ),
    "audit": ("(request_id)", "(tool_call_id, request_id)", "(tool_call_id) where request_id is null"),
    "charge": ("(delivery_id)",),
    "agent_assignment": ("(agent_id, valid_from)",),
    "tool_price": ("(tool, effective_from)",),
    "price_revision": ("(model)",),
    "allocation": ("(audit_id)",),
}
ALIKE: Final = {  # the rows that a batch has to do with
    # What is alike within the batch its ledger knows (`known`), unless that is NULL; what is alike elsewhere is looked
    # up. By arrays, because an index looks up sorted values several times faster than a join asks for them one by one;
    # sorted beforehand, because the look-up in each month sorts them else. Calls of one request with two long response
    # ids are two calls: only those without need a look at the request, and an index of their own keeps them few.
    "ledger": """
      with new as materialized (
        select
          request_id,
          hashtextextended(request_id, 0) as request,
          hashtextextended(response_id, 0) as response,
          response_id is null or length(response_id) < 20 as is_short
        from ledger
        where host = %(host)s and id between %(first)s and %(last)s
      ),
      of_request as (
        select request_id from ledger where id = any(%(known)s::bigint[])
        union all
        select request_id from new where %(known)s::bigint[] is null group by 1 having count(*) > 1
        union all
        select request_id from ledger
        where (response_id is null or length(response_id) < 20)
          and hashtextextended(request_id, 0) = any(array(select request from new order by 1))
          and not (host = %(host)s and id between %(first)s and %(last)s)
        union all
        select request_id from ledger
        where request_id = any(array(select request_id from new where is_short order by 1))
          and not (host = %(host)s and id between %(first)s and %(last)s)
      ),
      of_response as (
        select hashtextextended(response_id, 0) as response from ledger
        where id = any(%(known)s::bigint[]) and response_id is not null
        union all
        select response from new
        where %(known)s::bigint[] is null and response is not null group by 1 having count(*) > 1
        union all
        select hashtextextended(response_id, 0) from ledger
        where response_id is not null
          and hashtextextended(response_id, 0) = any(
            array(select response from new where response is not null order by 1)
          )
          and not (host = %(host)s and id between %(first)s and %(last)s)
      )
      select id from ledger where request_id = any(array(select request_id from of_request))
      union
      select id from ledger
      where response_id is not null and hashtextextended(response_id, 0) = any(array(select response from of_response))
    """,
    # A request has few tool calls; an id of a tool call may be a counter, which thousands of requests have.
    "audit": """
      with new as materialized (
        select id, request_id, tool_call_id from audit where host = %(host)s and id between %(first)s and %(last)s
      ),
      told as materialized (
        select id, tool_call_id, request_id from audit where id = any(%(known)s::bigint[])
        union
        select id, tool_call_id, request_id from audit
        where request_id = any(array(select request_id from new where request_id is not null order by 1))
          and not (host = %(host)s and id between %(first)s and %(last)s)
        union
        select id, tool_call_id, request_id from audit
        where request_id is null
          and tool_call_id = any(array(select tool_call_id from new order by 1))
          and not (host = %(host)s and id between %(first)s and %(last)s)
        union
        select id, tool_call_id, request_id from audit
        where tool_call_id = any(array(select tool_call_id from new where request_id is null order by 1))
          and not (host = %(host)s and id between %(first)s and %(last)s)
      ),
      both_sides as (
        select id, tool_call_id, request_id from told
        union
        select id, tool_call_id, request_id from new
        where %(known)s::bigint[] is null or exists (select 1 from told)
      )
      select unnest(array_agg(id)) from both_sides group by tool_call_id, request_id having count(*) > 1
      union
      select unnest(array_agg(id)) from both_sides
      group by tool_call_id having count(*) > 1 and bool_or(request_id is null)
    """,
}


def views() -> dict[str, str]:
    """The SELECT of each canonical view, after those that it reads. Raises LedgerError where sqlglot is missing."""
    try:
        dialects = import_module("agent_ledger.dialects")
    except ImportError:
        raise LedgerError("PostgreSQL needs sqlglot: pip install 'agent-cost-ledger[postgres]'") from None
    found: dict[str, str] = dialects.views("postgres")
    return found


def prepare(connection: Any, address: str) -> None:
    """Make the tables and views that are missing. Raises LedgerError where a table is another one."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        there = _there(connection)
        if there and "ledger_meta" not in there:
            raise LedgerError(
                f"{address} has a table {sorted(there)[0]} that is not agent-ledger's: give another database, or"
                " another schema with ?options=-csearch_path%3DNAME"
            )
        for table, columns in _tables().items():
            if table not in there:
                _make(connection, table, columns)
            elif there[table] != columns:
                raise LedgerError(
                    f"{address} has another table {table} than this version ships: {_difference(columns, there[table])}"
                )
        _refresh_views(connection)


def add_months(connection: Any, months: Iterable[tuple[str, str]]) -> None:
    """Make the partitions of months, given as (table, YYYY-MM)."""
    for table, month in sorted(months):
        if not "2015" <= month < "2100":
            continue  # the default partition has them
        name = f"{table}_{month.replace('-', '_')}"
        if connection.execute("select to_regclass(%s)", (name,)).fetchone()[0] is not None:
            continue
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            year, number = int(month[:4]), int(month[5:])
            after = f"{year + number // 12:04}-{number % 12 + 1:02}"
            connection.execute(
                f"create table if not exists {name} partition of {table} for values from ('{month}') to ('{after}')"
            )


def _tables() -> dict[str, dict[str, str]]:
    """The columns of all tables, with their types."""
    found = {"host": {"number": "bigint", "name": "text"}}
    found |= {table.name: _typed(shipped.far_columns(table.name)) for table in SHIPPED}
    found |= {table.far_name or table.name: _typed(shipped.far_columns(table.name)) for table in SNAPSHOTS}
    return found | {name: _typed(shipped.columns(name)) for name in _DERIVED}


def _typed(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: _TYPES[kind] for name, kind in columns.items()}


def _there(connection: Any) -> dict[str, dict[str, str]]:
    """Of our tables those that are there, with their columns."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from information_schema.columns"
        " where table_schema = current_schema() and table_name = any(%s) order by table_name, ordinal_position",
        (list(_tables()),),
    ):
        found.setdefault(table, {})[column] = kind
    return found


def _difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    for said, names in (("it lacks", ours.keys() - theirs.keys()), ("it has", theirs.keys() - ours.keys())):
        if names:
            return f"{said} {', '.join(sorted(names))}; upgrade agent-ledger on all hosts, or give another database"
    return "types or order of its columns differ; give another database"


def _make(connection: Any, table: str, columns: dict[str, str]) -> None:
    key = ["number"] if table == "host" else [*_DERIVED.get(table, ())] or [*KEYS[table], "host"]
    if table in PARTITIONED:
        key.append("ts")
    named = ", ".join(
        f'"{column}" {kind}{" collate " + _BYTES if kind == "text" else ""}' for column, kind in columns.items()
    )
    quoted = ", ".join(f'"{column}"' for column in key)
    divided = " partition by range (ts)" if table in PARTITIONED else ""
    connection.execute(f"create table {table} ({named}, primary key ({quoted})){divided}")
    if divided:
        connection.execute(f"create table {table}_other partition of {table} default")
    for index in _INDEXES.get(table, ()):
        connection.execute(f"create index on {table} {index}")


def _refresh_views(connection: Any) -> None:
    """Replace the views, unless they are these already, or from a newer version."""
    ours = (version("agent-cost-ledger"), _digest())
    found = connection.execute("select value from ledger_meta where key = 'views'").fetchone()
    theirs = tuple(found[0].split()) if found else ("0", "")
    if theirs == ours or _release(theirs[0]) > _release(ours[0]):
        return
    bodies = {name: body for name, body in views().items() if name not in _DERIVED}
    _drop_views(connection, bodies)
    for name, body in bodies.items():
        connection.execute(f'create view "{name}" as {body}')
    connection.execute(
        "insert into ledger_meta (key, value) values ('views', %s)"
        " on conflict (key) do update set value = excluded.value",
        (" ".join(ours),),
    )


def _digest() -> str:
    """Of all that the views are made from: making them takes seconds, so they are not made only to be compared."""
    rules = sorted(files("agent_ledger").joinpath("dialects").iterdir(), key=lambda entry: entry.name)
    texts = [entry.read_text("utf-8") for entry in rules if entry.name.endswith(".py")]
    try:
        translator = version("sqlglot")
    except PackageNotFoundError:
        translator = ""
    made_from = repr((texts, scripts("views"), scripts("far"), translator))
    return hashlib.sha256(made_from.encode()).hexdigest()


def _drop_views(connection: Any, names: Collection[str]) -> None:
    found = connection.execute(
        "select table_name from information_schema.views"
        " where table_schema = current_schema() and table_name = any(%s)",
        (list(names),),
    ).fetchall()
    if found:
        connection.execute(f"drop view {', '.join(f'{name}' for (name,) in found)}")


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
