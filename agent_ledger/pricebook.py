"""The price rows of a ledger file: storing what sources say, and keeping the table `rate` in step.

Functions on a connection; who calls them holds the write transaction where one is needed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType

from agent_ledger import clock, rollup_limits
from agent_ledger.errors import LedgerError
from agent_ledger.hookspecs import PriceSource
from agent_ledger.prices.rules import validate
from agent_ledger.pricing import STANDARD_TIERS, Rate, RateKey, resolve
from agent_ledger.records import PriceRevision
from agent_ledger.schema import scripts

_STORED = tuple(field.name for field in fields(PriceRevision) if field.name != "id")
_KEY = tuple(field.name for field in fields(RateKey))
_RATE = tuple(field.name for field in fields(Rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one source said about one model. `rows` is how many were stored: 0 where it said nothing new."""

    source: str
    provider: str | None
    model: str
    outcome: str  # new, changed, unchanged, unknown (the source does not know the model), refused, failed
    rows: int = 0
    detail: str | None = None  # why it was refused or failed


def revisions(connection: sqlite3.Connection, as_of: str | None = None) -> list[PriceRevision]:
    """All price rows, or those that were known at the moment `as_of` (a ledger timestamp)."""
    found = connection.execute(
        f"select id, {', '.join(_STORED)} from price_revision where recorded_at <= ? order by id", [as_of or clock.END]
    )
    return [_revision(row) for row in found]


def keys(connection: sqlite3.Connection, *, unresolved: bool = False) -> list[RateKey]:
    """The combinations that need a rate; only those not looked up yet, if asked."""
    condition = " where resolved_at is null" if unresolved else ""
    return [RateKey(*row) for row in connection.execute(f"select {', '.join(_KEY)} from rate_key{condition}")]


def ask(sources: Iterable[PriceSource], models: Iterable[tuple[str, str]]) -> list[tuple[Answer, list[PriceRevision]]]:
    """What the sources say about models, given as (provider, model) with "" for no provider. Reads no ledger.

    One failing source never silences another: its failure is an answer too.
    """
    answers: list[tuple[Answer, list[PriceRevision]]] = []
    for provider, model in models:
        for source in sources:
            answer = Answer(source=source.name, provider=provider or None, model=model, outcome="unknown")
            try:
                rows = [
                    replace(row, source=source.name, priority=source.priority)
                    for row in source.prices(provider or None, model)
                ]
                validate(rows)
            except LedgerError as error:
                answers.append((replace(answer, outcome="refused", detail=str(error)), []))
            except Exception as error:  # a source is somebody else's code
                answers.append((replace(answer, outcome="failed", detail=f"{type(error).__name__}: {error}"), []))
            else:
                answers.append((answer, rows))
    return answers


def store_answer(
    connection: sqlite3.Connection, answer: Answer, rows: Sequence[PriceRevision], *, dated: bool, now: str
) -> Answer:
    """Store what a source said about a model, unless it is what it said last. Never removes anything."""
    if not rows:
        return answer
    last = _last_said(connection, answer)
    if {_said(row, dated) for row in last} == {_said(row, dated) for row in rows}:
        return replace(answer, outcome="unchanged")
    if last and not dated:
        # The source does not say since when; until now it said something else.
        rows = [replace(row, effective_from=row.effective_from or now) for row in rows]
    store(connection, rows, now)
    return replace(answer, outcome="changed" if last else "new", rows=len(rows))


def news(connection: sqlite3.Connection, rows: Sequence[PriceRevision]) -> list[PriceRevision]:
    """Those of `rows` whose source said something else about their model last, or nothing yet."""
    said: dict[tuple[str, str | None, str], list[PriceRevision]] = {}
    for row in rows:
        said.setdefault((row.source, row.provider, row.model), []).append(row)
    found: list[PriceRevision] = []
    for (source, provider, model), group in said.items():
        last = _last_said(connection, Answer(source=source, provider=provider, model=model, outcome="unknown"))
        if {_said(row, True) for row in last} != {_said(row, True) for row in group}:
            found += group
    return found


def store(connection: sqlite3.Connection, rows: Iterable[PriceRevision], now: str) -> None:
    """Append price rows as one recording. The caller has validated them."""
    latest = connection.execute("select max(recorded_at) from price_revision").fetchone()[0]
    recorded_at = now if latest is None or latest < now else clock.millisecond_after(latest)
    connection.executemany(
        f"insert into price_revision ({', '.join(_STORED)}) values ({', '.join('?' * len(_STORED))})",
        [_values(replace(row, recorded_at=recorded_at)) for row in rows],
    )


def rebuild(
    connection: sqlite3.Connection,
    wanted: Iterable[RateKey],
    now: str,
    unanswered: Collection[tuple[str | None, str]] = (),
) -> None:
    """Work out the rates of `wanted` anew from the stored price rows.

    `unanswered` are the models, as (provider, model), that a source could not be asked about: where they have no rate
    they stay to be looked up.
    """
    wanted = list(wanted)
    stored = revisions(connection)
    for key in _with_standard(wanted):
        before = rollup_limits.limits(connection, key)
        connection.execute(f"delete from rate where {' and '.join(f'{column} = ?' for column in _KEY)}", astuple(key))
        connection.executemany(_INSERT_RATE.format(schema="main"), _rate_rows(key, stored))
        rollup_limits.follow(connection, key, before)
    for key in wanted:
        reason = _reason(key, stored)
        if reason and (key.provider or None, key.model) in unanswered:
            continue
        connection.execute(
            f"update rate_key set resolved_at = ?, reason = ? where {' and '.join(f'{column} = ?' for column in _KEY)}",
            (now, reason, *astuple(key)),
        )


def overlay(
    connection: sqlite3.Connection,
    stored: Sequence[PriceRevision],
    substitutes: Mapping[RateKey, RateKey] = MappingProxyType({}),
) -> None:
    """Give this connection, and nobody else, the rates that follow from `stored`, in a temporary table `rate`.

    Where the rollups are not divided by what these rates depend on, the connection's views add up the calls instead.

    `substitutes`: combinations that get the rates of another one.
    """
    ddl = scripts("tables")["rate"].replace("create table rate", "create temp table rate", 1)
    connection.execute("drop table if exists temp.rate")
    connection.execute(ddl)
    for key in _with_standard(keys(connection)):
        rates = _rate_rows(key, stored, substitutes.get(key, key))
        connection.executemany(_INSERT_RATE.format(schema="temp"), rates)
    if not all(rollup_limits.fits(connection, key, "temp.rate") for key in keys(connection)):
        rollup_limits.set_aside(connection)


def rates(
    revisions: Iterable[Mapping[str, object]], wanted: Iterable[RateKey]
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The rows of `rate` and of `rate_key` (without resolved_at) that follow from rows of price_revision.

    For where the facts of several ledgers stand together: a price that one of them knows holds for the calls of all.
    """
    stored = sorted(
        (_revision(tuple(row[name] for name in ("id", *_STORED))) for row in revisions), key=lambda row: row.id or 0
    )
    wanted = sorted(set(wanted))
    found = [row for key in _with_standard(wanted) for row in _rate_rows(key, stored)]
    return found, [(*astuple(key), _reason(key, stored)) for key in wanted]


RATE_COLUMNS = _KEY + _RATE
"""The columns of the rows of `rate` that `rates` gives."""
_INSERT_RATE = f"insert into {{schema}}.rate ({', '.join(_KEY + _RATE)}) values ({', '.join('?' * len(_KEY + _RATE))})"


def _with_standard(wanted: Iterable[RateKey]) -> list[RateKey]:
    """`wanted`, and the plain standard price of each of its models, which the view `price` shows."""
    return sorted({*wanted, *(RateKey(key.model, key.provider) for key in wanted)})


def _rate_rows(
    key: RateKey, stored: Iterable[PriceRevision], priced_as: RateKey | None = None
) -> list[tuple[object, ...]]:
    return [
        (*astuple(key), *(_json(getattr(rate, name)) if name == "units" else getattr(rate, name) for name in _RATE))
        for rate in resolve(priced_as or key, stored)
    ]


def _reason(key: RateKey, stored: Iterable[PriceRevision]) -> str | None:
    if resolve(key, stored):
        return None
    tier = key.service_tier
    if tier.casefold() not in STANDARD_TIERS and resolve(RateKey(key.model, key.provider), stored):
        return f"no price is known for the service tier {tier}"
    if key.provider:
        return f"no price source knows this model of the provider {key.provider}"
    return "no price source knows this model; recording the provider may help"


def _last_said(connection: sqlite3.Connection, answer: Answer) -> list[PriceRevision]:
    found = connection.execute(
        f"""
        select id, {", ".join(_STORED)} from price_revision as said
        where model = :model and source = :source and provider is :provider and recorded_at = (
          select max(recorded_at) from price_revision
          where model = :model and source = :source and provider is :provider
        )
        """,
        {"model": answer.model, "source": answer.source, "provider": answer.provider},
    )
    return [_revision(row) for row in found]


def _said(row: PriceRevision, dated: bool) -> tuple[object, ...]:
    """What a row says, without when it was recorded; without since when, where the source does not say that."""
    bare = replace(row, id=None, recorded_at=None, effective_from=row.effective_from if dated else None)
    return _values(bare)


def _values(row: PriceRevision) -> tuple[object, ...]:
    values: list[object] = []
    for name in _STORED:
        value = getattr(row, name)
        if name == "units":
            value = _json(value)
        elif isinstance(value, Decimal):
            value = format(value, "f")
        values.append(value)
    return tuple(values)


def _json(units: object) -> str | None:
    return json.dumps(units, sort_keys=True) if units else None


def _revision(row: sqlite3.Row | tuple[object, ...]) -> PriceRevision:
    named = dict(zip(("id", *_STORED), row, strict=True))
    units, discount = named.pop("units"), named.pop("discount")
    return PriceRevision(
        **named,
        units=json.loads(str(units)) if units else None,
        discount=Decimal(str(discount)) if discount else None,
    )
