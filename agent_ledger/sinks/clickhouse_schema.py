"""What a ledger's tables and views are on ClickHouse, and making what is missing of them.

Rows stand in tables `stored_…` of ReplacingMergeTree, which drops a row that came twice when it merges; the views named
like the ledger's tables read them with FINAL, which drops it before. `ledger` and `audit` are divided by months.

On a cluster the tables are replicated. Calls and tool calls are spread over the shards by a hash of their id, so that a
row that came twice is on the same shard; tables `spread_…` read and write all of them. What is small is whole on every
node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agent_ledger import dialects, shipped
from agent_ledger.errors import LedgerError
from agent_ledger.shipped import SHIPPED, SNAPSHOTS

Ask = Callable[[str], list[tuple[Any, ...]]]

COUNTED: Final = {  # whose rows may tell of the same: the table that says which do not count, and the view that ranks
    "ledger": ("superseded_call", "call_rank"),
    "audit": ("superseded_tool_call", "tool_call_rank"),
}
ALIKE: Final = {  # what rows that tell of the same have in common
    "ledger": ("request_id", "response_id"),
    "audit": ("tool_call_id",),
}
WHOLE: Final = frozenset(table.far_name or table.name for table in SNAPSHOTS)
KEYS: Final = {
    **{table.name: table.key for table in SHIPPED},
    **{table.far_name or table.name: table.key for table in SNAPSHOTS},
    "superseded_call": ("id",),
    "superseded_tool_call": ("id",),
    "rate": ("model", "provider", "service_tier", "region", "valid_from", "time_from", "min_tokens"),
    "rate_key": ("model", "provider", "service_tier", "region"),
    "host": ("number",),
    "far_state": ("key",),
}
_DAYS: Final = {table.name: table.day for table in SHIPPED if table.name in COUNTED}
_TYPES: Final = {"INTEGER": "Int64", "TEXT": "String", "REAL": "Float64"}


def columns(table: str) -> Mapping[str, str]:
    """The columns of a table there, and their types as SQLite calls them."""
    own = {"host": {"number": "INTEGER", "name": "TEXT"}, "far_state": {"key": "TEXT", "value": "TEXT"}}
    if table in own:
        return own[table]
    names = {snapshot.far_name or snapshot.name: snapshot.name for snapshot in SNAPSHOTS}
    if table in names or table in {one.name for one in SHIPPED}:
        return shipped.far_columns(names.get(table, table))
    return shipped.columns(table)


def prepare(ask: Ask, address: str, cluster: str | None = None) -> None:
    """Make the tables and views that are missing, on every node of a cluster. Raises LedgerError where a table is
    another one."""
    there: dict[str, list[str]] = {}
    for table, column in ask(
        "select table, name from system.columns where database = currentDatabase() order by position"
    ):
        there.setdefault(table, []).append(column)
    for table in KEYS:
        stored = f"stored_{table}"
        if table in there and stored not in there:
            raise LedgerError(f"{address} has a table {table} that is not agent-ledger's: give another database")
        if stored in there and there[stored] != list(columns(table)):
            raise LedgerError(f"{address} has another table {table} than this version ships: give another database")
    if cluster and "stored_ledger" in there and "spread_ledger" not in there:
        raise LedgerError(f"{address} has the tables of a single server: leave ?cluster out, or give another database")
    if not cluster and "spread_ledger" in there:
        raise LedgerError(f"{address} has the tables of a cluster: add ?cluster=NAME")
    for table in KEYS:
        if cluster and table in _DAYS:  # first, so that a stored table without it is always a single server's
            ask(_spread(table, cluster))
        ask(create(table, f"stored_{table}", cluster))
    views = _views(cluster)
    made = "\n".join(f"{name} {body}" for name, body in views.items())
    state = ask(f"select count() from stored_far_state final where key = 'views' and value = {quoted(made)}")
    if state != [(1,)]:
        for name, body in views.items():
            ask(f"create or replace view `{name}`{_on(cluster)} as {body}")
        ask(f"insert into stored_far_state (key, value) values ('views', {quoted(made)})")


def rows_go_to(table: str, cluster: str | None) -> str:
    """The table that rows are inserted into."""
    return f"spread_{table}" if cluster and table in _DAYS else f"stored_{table}"


def create(table: str, name: str, cluster: str | None = None) -> str:
    """The statement that makes a table, where it is missing; without a cluster, on this node alone."""
    indexes = [f"index by_{column} {column} type bloom_filter granularity 4" for column in ALIKE.get(table, ())]
    divided = f" partition by substring({_DAYS[table]}, 1, 7)" if table in _DAYS else ""
    divided = " partition by host" if table in WHOLE else divided
    body = ", ".join([*_cells(table), *indexes])
    order = ", ".join(f"`{column}`" for column in _key(table))
    engine = f"{_engine(table, cluster)}{divided} order by ({order})"
    return f"create table if not exists {name}{_on(cluster)} ({body}) engine = {engine}"


def _key(table: str) -> list[str]:
    return [*KEYS[table], *(["host"] if "host" in columns(table) else ())]


def _cells(table: str) -> list[str]:
    """The columns and their types; what sorts and divides rows is never NULL."""
    known = {*_key(table), _DAYS.get(table)}
    return [
        f"`{column}` {_TYPES[kind] if column in known else f'Nullable({_TYPES[kind]})'}"
        for column, kind in columns(table).items()
    ]


def _engine(table: str, cluster: str | None) -> str:
    """Replicas of one path have the same rows: those of a shard, or of what is whole everywhere, all."""
    if cluster is None:
        return "ReplacingMergeTree"
    path, replica = ("{uuid}/{shard}", "{replica}") if table in _DAYS else ("{uuid}/all", "{shard}-{replica}")
    return f"ReplicatedReplacingMergeTree('/clickhouse/tables/{path}', '{replica}')"


def _spread(table: str, cluster: str) -> str:
    """Under ON CLUSTER, the current database is that of whoever asked."""
    return (
        f"create table if not exists spread_{table}{_on(cluster)} ({', '.join(_cells(table))})"
        f" engine = Distributed({quoted(cluster)}, currentDatabase(), stored_{table}, cityHash64(id))"
    )


def _on(cluster: str | None) -> str:
    return "" if cluster is None else f" on cluster {quoted(cluster)}"


def counting(table: str, first: int, last: int, host: int, database: str) -> str:
    """The statement that says which rows do not count now, as sql/far has it, of those that a batch has to do with."""
    marks, ranks = COUNTED[table]
    views = dialects.views("clickhouse")
    new = f"host = {host} and id between {first} and {last}"
    alike = " or ".join(
        f"{column} in (select {column} from {database}.{table} where {new} and {column} is not null)"
        for column in ALIKE[table]
    )
    # Names of a WITH stand before tables of the same name: the statements of sql/far read these rows alone.
    return (
        f"insert into stored_{marks} (id, by_id, reason)"
        f" with {table} as (select * from {database}.{table} where {alike}), {ranks} as ({_bare(views[ranks])})"
        f" select id, by_id, reason from ({_bare(views[marks])}) settings join_use_nulls = 1"
    )


def quoted(text: str) -> str:
    """A literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def insert(table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The statement that adds a few rows."""
    cells = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    return f"insert into {table} ({', '.join(f'`{name}`' for name in names)}) values {cells}"


def _literal(value: object) -> str:
    return "null" if value is None else quoted(value) if isinstance(value, str) else repr(value)


def _bare(view: str) -> str:
    return view.rpartition("\nSETTINGS ")[0]


def _views(cluster: str | None) -> dict[str, str]:
    tables = {
        table: f"select {', '.join(f'`{name}`' for name in columns(table))} from {rows_go_to(table, cluster)} final"
        + (" settings do_not_merge_across_partitions_select_final = 1" if table in _DAYS else "")
        for table in KEYS
    }
    return tables | {name: body for name, body in dialects.views("clickhouse").items() if name not in tables}
