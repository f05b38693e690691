"""Helpers of the tests: rows with defaults, raw access to a ledger file, and an independent oracle of every cost."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from agent_ledger import Ledger, PriceRevision, pricebook, schema
from agent_ledger.allocation import allocate
from agent_ledger.hookspecs import PriceSource

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"
NOON = "2026-01-15T12:00:00.000Z"
STANDARD = {"", "standard", "default", "auto", "on_demand", "on-demand"}


def call(**changes: Any) -> dict[str, Any]:
    """The fields of a call."""
    return {
        "agent_id": "a",
        "request_id": "r",
        "model": "m",
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "ts": NOON,
        **changes,
    }


def tool_call(**changes: Any) -> dict[str, Any]:
    """The fields of a tool call."""
    return {"tool": "t", "request_id": "r", "tool_call_id": "tc", "ts": NOON, **changes}


def price(model: str = "m", **fields: Any) -> PriceRevision:
    """A price row; amounts are pico-dollars per token."""
    return PriceRevision(model=model, source=fields.pop("source", "contract"), **fields)


class Source:
    """A price source that says what it is told to."""

    def __init__(
        self,
        rows: Sequence[PriceRevision] = (),
        *,
        name: str = "told",
        priority: int = 10,
        dated: bool = True,
        error: Exception | None = None,
    ) -> None:
        self.name, self.priority, self.dated = name, priority, dated
        self.rows, self.error = list(rows), error
        self.asked: list[tuple[str | None, str]] = []

    def prices(self, provider: str | None, model: str) -> Sequence[PriceRevision]:
        self.asked.append((provider, model))
        if self.error is not None:
            raise self.error
        return [row for row in self.rows if (row.provider, row.model) == (provider, model)]


_: type[PriceSource] = Source  # it follows the contract


@contextmanager
def raw(ledger: Ledger | Path) -> Iterator[sqlite3.Connection]:
    """A plain connection to the file that commits at the end."""
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma foreign_keys = on")
        yield connection
        connection.commit()


def query(ledger: Ledger | Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with raw(ledger) as connection:
        return connection.execute(sql, values).fetchall()


@contextmanager
def locked(ledger: Ledger | Path) -> Iterator[None]:
    """Somebody else writes to the file, until the end."""
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        yield
        connection.execute("rollback")


def start_child(work: Callable[[], object]) -> int:
    """Fork, and do `work` there. Returns the process id."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        signal.alarm(20)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def exit_code(child: int) -> int:
    """Wait for a child process."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def add_prices(ledger: Ledger, *rows: PriceRevision, recorded_at: str = "2026-01-01T00:00:00.000Z") -> None:
    """Price rows of any source and priority, recorded at any time."""
    columns = [name for name in PriceRevision.__slots__ if name != "id"]
    with raw(ledger) as connection:
        for row in rows:
            values = {name: getattr(row, name) for name in columns}
            values["recorded_at"] = row.recorded_at or recorded_at
            values["units"] = json.dumps(dict(row.units)) if row.units else None
            values["discount"] = None if row.discount is None else str(row.discount)
            connection.execute(
                f"insert into price_revision ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
                [values[name] for name in columns],
            )
        pricebook.rebuild(connection, pricebook.keys(connection), recorded_at)


def add_charge(connection: sqlite3.Connection, delivery_id: int, charge_id: str, cost: str, **values: Any) -> int:
    """A line of a bill, of January 15th from 12 to 13, unless `values` say otherwise. Returns its row."""
    values = {
        "delivery_id": delivery_id,
        "charge_id": charge_id,
        "cost": cost,
        "period_start": NOON,
        "period_end": "2026-01-15T13:00:00.000Z",
        "provider": "aws",
        "cost_picos": None if values.get("currency", "USD") != "USD" else int(Decimal(cost) * 10**12),
        **values,
    }
    columns = ", ".join(values)
    sql = f"insert into charge ({columns}) values ({', '.join('?' * len(values))})"
    return connection.execute(sql, list(values.values())).lastrowid or 0


def add_delivery(connection: sqlite3.Connection, name: str = "first", **values: Any) -> int:
    """A delivery of the bill of January. Returns its row."""
    values = {
        "format": "cur",
        "bill": "aws 1",
        "billing_period": "2026-01",
        "content": "charges",
        "name": name,
        **values,
    }
    sql = f"insert into delivery ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    return connection.execute(sql, list(values.values())).lastrowid or 0


def add_bill(connection: sqlite3.Connection) -> None:
    """A bill for January, allocated: it has lines of each kind, one that a tool call takes, and a usage report."""
    connection.execute(
        "insert into audit (ts, request_id, tool_call_id, tool, server, agent_id, resource_id, operation)"
        " values (?, 'r', 'billed', 'get_object', 's3', 'a', 'bucket', 'GetObject')",
        [NOON],
    )
    connection.execute(
        "insert into exchange_rate (currency, effective_from, usd) values ('EUR', '2026-01-01T00:00:00.000Z', 1.25)"
    )
    add_charge(connection, add_delivery(connection, "earlier"), "1", "9", resource_id="bucket")
    delivery = add_delivery(connection)
    everything = {
        "account": "2", "service": "AmazonS3", "resource_id": "arn:aws:s3:::bucket", "operation": "GetObject",
        "usage_type": "Requests-Tier2", "quantity": "4", "unit": "Requests", "invoice_id": "i", "tags": '{"k": "v"}',
        "description": "requests",
    }  # fmt: skip
    add_charge(connection, delivery, "1", "0.000004", **everything)
    add_charge(connection, delivery, "2", "1.5", service="AmazonRDS", resource_id="arn:aws:rds:::db:prod")
    add_charge(connection, delivery, "3", "0.25", category="tax")
    add_charge(connection, delivery, "4", "-0.5", category="credit")
    add_charge(connection, delivery, "5", "2", currency="EUR")
    add_charge(connection, delivery, "6", "3", currency="GBP")
    tokens = {"kind": "llm", "service": "AmazonBedrock", "model": "m", "token_type": "input"}
    add_charge(connection, delivery, "7", "0.125", quantity="0.1", unit="1K tokens", request_id="r", **tokens)
    day = {"format": "anthropic-cost", "bill": "anthropic 1", "billing_period": "2026-01-15"}
    span = {"period_start": "2026-01-15T00:00:00.000Z", "period_end": "2026-01-16T00:00:00.000Z"}
    add_charge(connection, add_delivery(connection, **day), "1", "0.5", **(tokens | span | {"provider": "anthropic"}))
    report = add_delivery(connection, **(day | {"format": "anthropic-usage", "content": "usage"}))
    connection.execute(
        "insert into provider_usage (delivery_id, usage_id, period_start, period_end, provider, model, service_tier,"
        " account, requests, prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens,"
        " cache_write_1h_tokens, web_search_requests) values"
        " (?, '1', ?, ?, 'anthropic', 'm', 'standard', '2', 2, 300, 30, 20, 10, 1, 1)",
        [report, *span.values()],
    )
    allocate(connection)


@cache
def empty_file() -> bytes:
    """The bytes of a new ledger: copying them is faster than making one each time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        Ledger(path).close()
        return path.read_bytes()


@contextmanager
def temporary_ledger() -> Iterator[Ledger]:
    """An empty ledger, fast, for property tests, which can't use fixtures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        path.write_bytes(empty_file())
        with Ledger(path) as ledger:
            yield ledger


def nearest_double(picos: int) -> float:
    """Pico-dollars as dollars: the double that is nearest to the exact amount."""
    return float(Fraction(picos, 10**12))


def counted(ledger: Ledger) -> list[dict[str, Any]]:
    """The rows of the ledger that count, from the tables only."""
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("select * from ledger where id not in (select id from superseded_call) order by id")
        return [dict(row) for row in found]


def naive_cost(ledger: Ledger) -> dict[int, int | None]:
    """What each call costs, in pico-dollars by ledger.id: the oracle.

    Reads ledger, superseded_call and price_revision; no view, no table `rate`, no code of the package.
    """
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        revisions = [dict(row) for row in connection.execute("select * from price_revision order by id")]
    return {row["id"]: _cost(row, revisions) for row in counted(ledger)}


def _cost(row: Mapping[str, Any], revisions: Iterable[Mapping[str, Any]]) -> int | None:
    computed = _computed(row, [revision for revision in revisions if _holds(revision, row)])
    reported = row["reported_cost_usd"] or 0
    if reported > 0 and (computed is None or row["anomaly"] is not None):
        return int((Decimal(repr(reported)) * 10**12).to_integral_value(ROUND_HALF_EVEN))
    return computed


def _holds(revision: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    pattern = "".join({"*": ".*", "?": "."}.get(sign) or re.escape(sign) for sign in revision["model"])
    if not re.fullmatch(pattern, row["model"], re.DOTALL):
        return False
    for scope in ("provider", "region"):
        if revision[scope] is not None and revision[scope].lower() != (row[scope] or "").lower():
            return False
    if not (revision["effective_from"] or "") <= row["ts"] < (revision["effective_to"] or "~"):
        return False
    named, served = ((one["service_tier"] or "").lower() for one in (revision, row))
    if revision["discount"] is not None and not named:
        return True
    return served in STANDARD if named in STANDARD else served == named


def _computed(row: Mapping[str, Any], holding: list[Mapping[str, Any]]) -> int | None:
    best: list[Mapping[str, Any]] = []
    for revision in holding:
        if not best or _precedence(revision) > _precedence(best[0]):
            best = [revision]
        elif _precedence(revision) == _precedence(best[0]):
            best.append(revision)
    if not best:
        return None
    discounts = [revision for revision in best if revision["discount"] is not None]
    if discounts:
        factor = 1 - Decimal(discounts[0]["discount"])
        return _computed(row, [_lowered(other, factor) for other in holding if other["discount"] is None])
    time = row["ts"][11:16]
    windows = [one for one in best if one["time_from"] is not None and _in_window(time, one)]
    listed = windows or [one for one in best if one["time_from"] is None]
    tokens = next((row[name] for name in ("tier_tokens", "prompt_tokens") if row[name] is not None), 0)
    reached = [one for one in listed if _threshold(one) <= tokens]
    if not reached:
        return None
    return _line(row, {**max(reached, key=_threshold), **_search_fee(best, holding)})


def _search_fee(best: list[Mapping[str, Any]], holding: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A list that names no fee for searches has that of the next list that names one."""
    if any(one["web_search"] is not None for one in best):
        return {}
    named = [one for one in holding if one["discount"] is None and one["web_search"] is not None]
    return {"web_search": max(named, key=_precedence)["web_search"] if named else None}


def _precedence(revision: Mapping[str, Any]) -> tuple[Any, ...]:
    wild = "*" in revision["model"] or "?" in revision["model"]
    return (
        *(revision["priority"], revision["region"] is not None, not wild, len(revision["model"]), revision["model"]),
        *(revision["provider"] is not None, revision["recorded_at"], revision["source"]),
    )


def _lowered(revision: Mapping[str, Any], factor: Decimal) -> dict[str, Any]:
    def lower(amount: int | None) -> int | None:
        return None if amount is None else int((amount * factor).quantize(Decimal(1), ROUND_HALF_EVEN))

    names = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "web_search", "request")
    units = {unit: lower(amount) for unit, amount in json.loads(revision["units"] or "{}").items()}
    return {**revision, **{name: lower(revision[name]) for name in names}, "units": json.dumps(units)}


def _in_window(time: str, revision: Mapping[str, Any]) -> bool:
    start, end = revision["time_from"], revision["time_to"]
    return start <= time < end if start < end else not end <= time < start


def _threshold(revision: Mapping[str, Any]) -> int:
    if revision["above_tokens"] is None:
        return 0
    return int(revision["above_tokens"]) + (revision["comparator"] == "gt")


def _line(row: Mapping[str, Any], rate: Mapping[str, Any]) -> int | None:
    """One row at one price: the formula of research/peers.md d.2."""

    def first(*names: str) -> int | None:
        return next((rate[name] for name in names if rate[name] is not None), None)

    if row["prompt_tokens"] is None or row["completion_tokens"] is None:
        known = {"prompt_tokens": row["prompt_tokens"], "completion_tokens": row["completion_tokens"]}
        assert None in known.values()
        return None
    reads, writes, hour = (row[f"cache_{name}_tokens"] or 0 for name in ("read", "write", "write_1h"))
    thought, searches = row["reasoning_tokens"] or 0, row["web_search_requests"] or 0
    buckets: list[tuple[int, int | None]] = []
    if row["prompt_tokens"]:
        buckets += [
            (row["prompt_tokens"] - reads - writes, rate["input"]),
            (reads, first("cache_read", "input")),
            (writes - hour, first("cache_write", "input")),
            (hour, first("cache_write_1h", "cache_write", "input")),
        ]
    if row["completion_tokens"]:
        buckets += [(row["completion_tokens"] - thought, rate["output"]), (thought, first("reasoning", "output"))]
    if searches:
        buckets.append((searches, rate["web_search"]))
    if any(amount is None for _, amount in buckets):
        return None
    total = Decimal(rate["request"] or 0)
    for count, amount in buckets:
        total += count * (amount or 0)
    prices = json.loads(rate["units"] or "{}")
    extra = Decimal(0)
    inside = {"input": first("input"), "cache": first("cache_read", "input"), "output": first("output")}
    for unit, used in json.loads(row["usage"] or "{}").items():
        if unit in prices:
            already = (inside.get(unit.split("_")[0]) or 0) if unit.endswith("_tokens") else 0
            extra += Decimal(str(used)) * (prices[unit] - already)
    return int(total + extra.to_integral_value(ROUND_HALF_EVEN))


def spent(ledger: Ledger) -> None:
    """Four calls: of team one in January, of team two in February, one of an unknown model, one without input counts.

    Input costs $2 and output $5 per million tokens, cache reads $0.5. The calls cost 0.00025, 0.0003 (50 of the input
    tokens are written to the cache for $3), NULL and NULL.
    """
    ledger.assign("a", team="one", feature="search", owner="zoe")
    ledger.assign("a", team="two", valid_from="2026-02-01")
    ledger.record_calls(
        [
            call(request_id="1", customer_id="acme", ts="2026-01-31T23:59:59.999Z"),
            call(request_id="2", cache_write_tokens=50, ts="2026-02-01T00:00:00.000Z"),
            call(request_id="3", model="unknown", customer_id="acme", feature="chat", ts="2026-02-01T12:00:00.000Z"),
            call(request_id="4", agent_id="b", prompt_tokens=None, completion_tokens=5, ts="2026-02-02T00:00:00.000Z"),
        ]
    )
    ledger.set_prices([price(input=2_000_000, cache_read=500_000, cache_write=3_000_000, output=5_000_000)])


def axis_rows(ledger: Ledger, view: str) -> dict[str, tuple[Any, ...]]:
    """The rows of a view cost_by_…: calls, input tokens, output tokens, dollars, unpriced calls by key."""
    columns = ("calls", "prompt_tokens", "completion_tokens", "cost_usd", "unpriced_calls")
    found = [(next(iter(row.values())), tuple(row[name] for name in columns)) for row in ledger.rows(view)]
    assert len(dict(found)) == len(found)
    return dict(found)


def found_by(ledger: Ledger, check: str) -> list[tuple[str, str]]:
    """The rows of one check."""
    return [tuple(row) for row in query(ledger, schema.scripts("checks")[check])]
