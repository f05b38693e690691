"""Which rows may be archived, and whether the rollups have what is about to leave.

What has to stay: the newest row; rows that are not compacted, that no rollup can hold, or that a sink has not got yet;
tool calls with a cost, or that a bill may claim; LLM calls of tool calls that stay; accounts of one inference unless
all of them go to one file.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from agent_ledger.archive_files import CALLS, TOOL_CALLS, Source
from agent_ledger.errors import LedgerError

BATCH: Final = 2_000  # rows that leave a table in one transaction, so that nobody waits for long
_DAY: Final = 10  # digits of a timestamp


class Period(NamedTuple):
    """The time of one file."""

    name: str
    since: str
    until: str


class Spec(NamedTuple):
    """Which rows of a source may go: `reached` is the last row that its rollups have, `stays` says which of
    these have to stay."""

    source: Source
    reached: str
    chunks: str  # the table that tells which of its rows are of which time
    rollup: str
    loose: str  # the table of those that the rollups have not
    stays: str


# A tool call without cost that no bill can claim either: those views that name each cost have nothing of it.
_CLAIMED: Final = """
  row.cost_usd is not null
  or row.resource_id is not null
  or row.tool in (select tool from tool_price)
  or coalesce(row.request_id in (select request_id from charge where kind = 'cloud' and request_id is not null), false)
  or exists (
    select 1 from allocation_rule as rule
    where rule.tool_resource_id is null and (rule.tool is not null or rule.server is not null)
      and (rule.tool is null or row.tool glob rule.tool or instr(rule.tool, '[') > 0)
      and (rule.server is null or row.server glob rule.server or instr(rule.server, '[') > 0)
  )
  or row.id in (select id from tool_loose)
  or row.id in (select id from tool_orphan)
  or row.id in (select id from unreported_tool_call)
"""
SPECS: Final = (  # tool calls first: as long as one is there, so is its LLM call
    Spec(TOOL_CALLS, "select audit_row from compacted", "tool_chunk", "tool_rollup", "tool_loose", _CLAIMED),
    Spec(
        CALLS,
        *("select ledger_row from compacted", "rollup_chunk", "usage_rollup", "usage_loose"),
        # Tool calls are attributed by their LLM call.
        "row.id in (select id from usage_loose) or row.id in (select id from unreported_call)"
        " or exists (select 1 from audit where audit.request_id = row.request_id)",
    ),
)


def reached(connection: sqlite3.Connection, spec: Spec) -> int:
    """The last row that may go: the rollups and all sinks have it, and it is not the newest, whose id the next row's
    follows."""
    (reached,) = connection.execute(
        f"select min(({spec.reached}), (select max(id) - 1 from {spec.source.table}),"
        " coalesce((select min(shipped) from ship_cursor where source = ?), 9223372036854775807))",
        [spec.source.table],
    ).fetchone()
    return int(reached or 0)


def counts(connection: sqlite3.Connection, spec: Spec, end: str) -> dict[str, int]:
    """How many rows each day before `end` has, in order: those that stay too."""
    return dict(
        connection.execute(
            f"select substr(ts, 1, {_DAY}), count(*) from {spec.source.table} where id <= ? and ts < ?"
            " group by 1 order by 1",
            [reached(connection, spec), end],
        ).fetchall()
    )


def check_sums(connection: sqlite3.Connection, spec: Spec) -> None:
    """Raises LedgerError where the rollups have not as many calls of a month as there are."""
    table, superseded = spec.source
    wrong = connection.execute(
        f"""
        select month, sum(summed), sum(there) from (
          select substr(bucket, 1, 7) as month, calls as summed, 0 as there from {spec.rollup} where grain = 'day'
          union all
          select substr(ts, 1, 7), 0, count(*) from {table}
          where id <= ({spec.reached})
            and id not in (select id from {superseded}) and id not in (select id from {spec.loose})
          group by 1
          union all
          select substr(since, 1, 7), 0, counted from archive where source = '{table}'
        )
        group by month
        having sum(summed) <> sum(there) and ({spec.reached}) > 0
        """
    ).fetchone()
    if wrong:
        raise LedgerError(
            f"the sums of {wrong[0]} are of {wrong[1]:,} {table} rows and not of {wrong[2]:,}:"
            f" nothing of {table} is archived; run agent-ledger check"
        )


def choose(connection: sqlite3.Connection, spec: Spec, period: Period) -> int:
    """Put the rows that go into the temporary table `archiving`, with their batches. Returns how many."""
    table, superseded = spec.source
    connection.execute("drop table if exists temp.archiving")
    connection.execute(
        "create temp table archiving (id integer primary key, by_id integer, reason text, batch integer)"
    )
    connection.execute(
        f"""
        insert into temp.archiving
        select row.id, null, null, 1
        from {spec.chunks} as chunk cross join {table} as row on row.id between chunk.first_id and chunk.last_id
        where chunk.first_ts < :until and chunk.last_ts >= :since
          and row.id <= :reached and row.ts >= :since and row.ts < :until and not ({spec.stays})
        """,
        {"reached": reached(connection, spec), "since": period.since, "until": period.until},
    )
    # Accounts of one inference go together, all at once.
    apart = f"""
      delete from temp.archiving where id in (
        select id from {superseded} where by_id not in (select id from temp.archiving)
        union all
        select by_id from {superseded} where id not in (select id from temp.archiving)
      )
    """
    while connection.execute(apart).rowcount:
        pass
    connection.execute(
        f"update temp.archiving set batch = 0, by_id = told.by_id, reason = told.reason from {superseded} as told"
        " where told.id = archiving.id"
    )
    connection.execute(f"update temp.archiving set batch = 0 where id in (select by_id from {superseded})")
    connection.execute(
        f"update temp.archiving set batch = 1 + (number - 1) / {BATCH}"
        " from (select id, row_number() over (order by id) as number from temp.archiving where batch > 0) as ranked"
        " where ranked.id = archiving.id"
    )
    connection.execute("create index temp.archiving_batch on archiving (batch)")
    return int(connection.execute("select count(*) from temp.archiving").fetchone()[0])
