"""What would it have cost with another model? The same calls and tokens, at another model's rates.

Nothing is written: a temporary table `rate` gives the calls of one model the rates of another, on one connection that
can only read, and every view there follows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase

from agent_ledger import clock, money, pricebook, reporting, schema
from agent_ledger.errors import LedgerError
from agent_ledger.hookspecs import PriceSource
from agent_ledger.pricing import RateKey, resolve
from agent_ledger.records import PriceRevision, Row

MEASURES = ("calls", "cost_usd", "repriced_usd", "difference_usd", "unpriced_calls", "unpriced_repriced_calls")


def columns(by: str) -> tuple[str, ...]:
    """The columns of a comparison."""
    return (*reporting.keys(by), *MEASURES)


def compare(
    connection: sqlite3.Connection,
    by: str,
    models: Mapping[str, str],
    sources: Iterable[PriceSource],
    *,
    as_of: str | None = None,
    since: str | None = None,
    until: str | None = None,
    zone: tzinfo = UTC,
) -> tuple[list[Row], Row]:
    """What was spent per `by`, and what it had been with the calls of one model made to another; and the total of all.

    `models`: model, or pattern with * and ?, -> the model instead; the first that matches counts. Prices are those of
    the ledger (`as_of`: known at that moment); a model that it has no price for is looked up in `sources`. From then on
    the connection's views show the repriced figures. Amounts are None where no call is priced; the difference is None
    too where one of the two leaves out calls that the other has.

    Raises LedgerError where a model has no calls, or its substitute no price.
    """
    actual = reporting.exact(connection, by, since=since, until=until, zone=zone)
    lay(connection, models, sources, as_of=as_of)
    repriced = {_key(row, by): row for row in reporting.exact(connection, by, since=since, until=until, zone=zone)}
    pairs = [(row, repriced[_key(row, by)]) for row in actual]
    rows = [{name: row[name] for name in reporting.keys(by)} | _compared([(row, other)]) for row, other in pairs]
    return rows, _compared(pairs)


def lay(
    connection: sqlite3.Connection,
    models: Mapping[str, str],
    sources: Iterable[PriceSource],
    *,
    as_of: str | None = None,
) -> None:
    """Give the calls of some models the rates of others, on this connection only; see `compare`."""
    keys = pricebook.keys(connection)
    chosen = {key: target for key in keys if (target := _target(key.model, models)) is not None}
    used = {
        row[0] for row in connection.execute("select distinct model from usage_cost where grain in ('month', 'call')")
    }
    for pattern in models:
        if not any(fnmatchcase(model, _escaped(pattern)) for model in used):
            raise LedgerError(f"the ledger has no calls of {pattern}: give the model as the report by model names it")
    stored = pricebook.revisions(connection, as_of)
    stored += _asked(chosen, stored, list(sources))
    substitutes = {key: _substitute(key, target, stored) for key, target in chosen.items()}
    for target in sorted(set(chosen.values())):
        if not any(resolve(substitutes[key], stored) for key in chosen if chosen[key] == target):
            raise LedgerError(
                f"no price is known for {target}: set one with agent-ledger prices LEDGER set --model {target}"
            )
    pricebook.overlay(connection, stored, substitutes)
    schema.overlay_views(connection)
    _forget_reported(connection, sorted({key.model for key in chosen}))


def _target(model: str, models: Mapping[str, str]) -> str | None:
    return next((target for pattern, target in models.items() if fnmatchcase(model, _escaped(pattern))), None)


def _escaped(pattern: str) -> str:
    return pattern.replace("[", "[[]")


def _asked(
    chosen: Mapping[RateKey, str], stored: Sequence[PriceRevision], sources: Sequence[PriceSource]
) -> list[PriceRevision]:
    """What the sources say about models that the ledger has no price for."""
    missing = {
        (provider, target)
        for key, target in chosen.items()
        if not resolve(_substitute(key, target, stored), stored)
        for provider in (key.provider, "")
    }
    found = [row for _, rows in pricebook.ask(sources, sorted(missing)) for row in rows]
    return [replace(row, recorded_at=row.recorded_at or clock.BEGINNING) for row in found]


def _substitute(key: RateKey, target: str, stored: Sequence[PriceRevision]) -> RateKey:
    """The same call to another model: of the same provider if it has that model, else of whoever has."""
    same = replace(key, model=target)
    others = sorted({row.provider or "" for row in stored if row.model == target})
    asked = [same, *(replace(same, provider=provider) for provider in others)]
    return next((one for one in asked if resolve(one, stored)), same)


def _forget_reported(connection: sqlite3.Connection, models: Sequence[str]) -> None:
    """What the provider said that a call cost says nothing about another model."""
    names = [column[0] for column in connection.execute("select * from usage limit 0").description]
    connection.execute("drop table if exists temp.repriced_model")
    connection.execute("create temp table repriced_model (model text primary key)")
    connection.executemany("insert into temp.repriced_model values (?)", [(model,) for model in models])
    reported = "iif(model in (select model from temp.repriced_model), null, reported_cost_usd) as reported_cost_usd"
    selected = ", ".join(reported if name == "reported_cost_usd" else name for name in names)
    connection.execute("drop view temp.usage")
    connection.execute(
        f"create temp view usage as with said as ({schema.scripts('views')['usage']}) select {selected} from said"
    )
    keys = [column[0] for column in connection.execute("select * from main.usage_key limit 0").description]
    unsaid = "iif(model in (select model from temp.repriced_model), 0, reported) as reported"
    connection.execute("drop view if exists temp.usage_key")
    connection.execute(
        f"create temp view usage_key as select {', '.join(unsaid if key == 'reported' else key for key in keys)}"
        " from main.usage_key"
    )


def _key(row: Row, by: str) -> tuple[str, ...]:
    return tuple(row[name] for name in reporting.keys(by))


def _compared(pairs: Sequence[tuple[Row, Row]]) -> Row:
    cost, repriced = _sum(row["picos"] for row, _ in pairs), _sum(row["picos"] for _, row in pairs)
    unpriced, without = (sum(pair[side]["unpriced_calls"] for pair in pairs) for side in (0, 1))
    difference = None if cost is None or repriced is None or unpriced != without else repriced - cost
    return {
        "calls": sum(row["calls"] for row, _ in pairs),
        "cost_usd": _usd(cost),
        "repriced_usd": _usd(repriced),
        "difference_usd": _usd(difference),
        "unpriced_calls": unpriced,
        "unpriced_repriced_calls": without,
    }


def _sum(amounts: Iterable[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _usd(picos: int | None) -> float | None:
    return None if picos is None else float(money.dollars(picos))
