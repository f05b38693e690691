"""What a call costs on disk: by table and index, and what customer_id and response_id add."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from generate import generate, settings
from scale_compaction import CAN_COMPACT
from traffic import CALL_COLUMNS, TOOL_CALL_COLUMNS, Traffic

from agent_ledger import Ledger

SAMPLE = 1_000_000
RECORDED = 200_000


def by_part(path: Path) -> Iterator[tuple[str, float]]:
    """Bytes per call of each table and index, the largest first, and of all together."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        calls = connection.execute("select count(*) from ledger").fetchone()[0]
        try:
            found = connection.execute(
                """
                select
                  coalesce(known.tbl_name, dbstat.name),
                  coalesce(known.type, 'table'),
                  dbstat.name,
                  sum(pageno) * page_size as bytes  -- pageno: how many pages; pgsize has 32 bits only
                from dbstat, pragma_page_size
                left join (select name, type, tbl_name from sqlite_schema) as known on known.name = dbstat.name
                where aggregate = true
                group by 1, 2, 3
                order by bytes desc
                """
            ).fetchall()
        except sqlite3.OperationalError:
            yield "this SQLite has no dbstat", path.stat().st_size / calls
            return
        rest = 0
        for table, kind, name, size in found:
            if size / calls < 0.05:
                rest += size
            else:
                yield f"index `{name}`" if kind == "index" else f"table `{table}`", size / calls
        yield "all other tables and indexes", rest / calls
        yield (
            "**together, of LLM calls only**",
            sum(size for table, _, _, size in found if not table.startswith(("audit", "tool"))) / calls,
        )
        yield "**the file**", path.stat().st_size / calls


def variants(folder: Path, traffic: Traffic) -> Iterator[tuple[str, float]]:
    """Bytes per call of smaller ledgers, compacted, without tool calls: with and without what is optional."""
    sample = replace(traffic, rows=min(traffic.rows, SAMPLE), audit_share=0.0)
    for what, one in {
        "with customer_id and response_id": replace(sample, response_ids=True),
        "without response_id": replace(sample, response_ids=False),
        "without customer_id": replace(sample, response_ids=True, customers=0),
        "without either": replace(sample, response_ids=False, customers=0),
    }.items():
        path = folder / "variant.db"
        remove(path)
        generate(path, one, quiet=True)
        yield f"{one.rows:,} calls, {what}", compacted(path) / one.rows
        remove(path)
    recorded = replace(traffic, rows=min(traffic.rows, RECORDED), audit_share=0.0)
    for what, one in {
        "as `record_calls` leaves it": recorded,
        "as `record_calls` leaves it, without customer_id": replace(recorded, customers=0),
    }.items():
        record(path, one)
        yield f"{one.rows:,} calls, {what}", compacted(path) / one.rows
        remove(path)


def record(path: Path, traffic: Traffic) -> None:
    """The same rows through the library: indexes then have room between their entries."""
    with Ledger(path) as ledger:
        for chunk in traffic.chunks():
            calls = (dict(zip(CALL_COLUMNS, row, strict=True)) for row in zip(*chunk.calls, strict=True))
            ledger.record_calls(
                call | {"usage": json.loads(call["usage"])} if call["usage"] else call for call in calls
            )
            ledger.record_tool_calls(
                dict(zip(TOOL_CALL_COLUMNS, row, strict=True)) for row in zip(*chunk.tool_calls, strict=True)
            )
        settings(ledger, traffic)


def compacted(path: Path) -> int:
    """How large the file is when everything is compacted, and nothing is left in the WAL."""
    if CAN_COMPACT:
        with Ledger(path) as ledger:
            ledger.compact()
    checkpoint(path)
    return path.stat().st_size


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
