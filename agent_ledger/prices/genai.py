"""The list prices that ship with the package genai-prices (MIT): offline, dated, 47 providers.

It is a source of rows, never of arithmetic: what its `ModelInfo` means (module `types`, version 0.2.3) is written out
as intervals, daily windows and long-context bands, so that SQL can price a call. tests/prices/test_genai.py holds the
rows equal to its own `calc_price`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from agent_ledger import clock, money
from agent_ledger.hookspecs import PriceSource, hookimpl
from agent_ledger.prices import factors, names
from agent_ledger.records import PriceRevision

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

SOURCE = "genai-prices"

_BUCKETS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
}
_FEES = {"web_searches_kcount": "web_search", "requests_kcount": "request"}
# Families of units that a provider counts in its usage. Hours, pages, pixels and characters are not among them.
_COUNTED = {"tokens", "tool_calls", "rerank", "messages"}

_ANY_DAY = date(2000, 1, 1)

Scope = tuple[str | None, str | None]  # service tier, region
Daily = list[tuple[str | None, str | None, "ModelPrice"]]  # time_from, time_to, price; the all-day one first


class GenaiPrices:
    """Price source "genai-prices": its published prices, and what follows from published factors (factors.py)."""

    name = SOURCE
    priority = 50
    dated = True

    def prices(self, provider: str | None, model: str) -> Sequence[PriceRevision]:
        found = self.find(provider, model)
        if found is None:
            return []
        host, info = found
        rows = expand(host, info, provider, model)
        # Through a fallback (Azure has no prices of its own for OpenAI's models) the maker's terms need not hold.
        if not _is_own(host, info):
            return rows
        return [*rows, *factors.derive(rows, host.id, info.id)]

    @staticmethod
    def find(provider: str | None, model: str) -> tuple[Provider, ModelInfo] | None:
        """Who prices `model` of `provider`. A provider that is named but unknown is never replaced by a guess."""
        # Importing genai_prices takes 0.2 s, which everybody who only records calls would pay.
        from genai_prices.data_snapshot import get_snapshot

        name, _ = names.lookup_name(model)
        if provider is not None and provider.strip().lower() == "litellm":
            provider, slash, name = name.partition("/")  # a router: its names begin with the provider
            if not slash:
                return None
        provider_id = names.genai_id(provider) if provider is not None else None
        if provider is not None and not provider_id:
            return None
        try:
            return get_snapshot().find_provider_model(name, None, provider_id, None)
        except LookupError:
            return None


def expand(host: Provider, info: ModelInfo, provider: str | None, model: str) -> list[PriceRevision]:
    """What `info` says, as rows for `model` of `provider`."""
    basis = "published" if _is_own(host, info) else f"published by the model's maker, used for {host.id}"
    _, note = names.lookup_name(model)
    row = PriceRevision(
        model=model,
        provider=provider,
        source=SOURCE,
        source_model=info.id,
        basis=f"{basis}; {note}" if note else basis,
    )
    rows = _rows(row, info, {})
    if _is_own(host, info):  # genai-prices ignores the context of a call that it prices through a fallback
        for (service_tier, region), when in _scopes(info).items():
            rows += _rows(replace(row, service_tier=service_tier, region=region), info, when)
    return rows


def _is_own(host: Provider, info: ModelInfo) -> bool:
    return any(info is own for own in host.models)


def _scopes(info: ModelInfo) -> dict[Scope, dict[str, str]]:
    """The service tiers and regions that have prices of their own, each with the context that selects them.

    "default" is the standard tier by another name; search types are not known of a call.
    """
    scopes: dict[Scope, dict[str, str]] = {}
    for variant in info.price_variants or ():
        match dict(variant.when):
            case {"processing": "batch", **rest} if not rest:
                scope: Scope = ("batch", None)
            case {"speed": "fast", **rest} if not rest:
                scope = ("fast", None)
            case {"service_tier": tier, **rest} if not rest and tier != "default":
                scope = (tier, None)
            case {"route": "mistral/eu", **rest} if not rest:
                scope = (None, "eu")
            case _:
                continue
        scopes.setdefault(scope, variant.when)
    return scopes


def _rows(row: PriceRevision, info: ModelInfo, when: dict[str, str]) -> list[PriceRevision]:
    return [
        replace(
            row,
            effective_from=_midnight(start),
            effective_to=_midnight(end),
            time_from=time_from,
            time_to=time_to,
            **band,
        )
        for start, end, daily in _merged(_intervals(info, when))
        for time_from, time_to, price in daily
        for band in _bands(price)
    ]


def _midnight(day: date | None) -> str | None:
    return None if day is None else clock.timestamp(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _intervals(info: ModelInfo, when: dict[str, str]) -> Iterator[tuple[date | None, date | None, Daily]]:
    """The intervals within which nothing but the time of day decides. Those where no variant is active are left out."""
    variants = [variant for variant in info.price_variants or () if when and variant.when == when]
    conditional = info.prices if isinstance(info.prices, list) else []
    constraints = [entry.constraint for entry in conditional] + [variant.constraint for variant in variants]
    starts = sorted({day for day in (getattr(entry, "start_date", None) for entry in constraints) if day is not None})
    windows = [entry for entry in constraints if hasattr(entry, "start_time")]
    edges = [None, *starts, None]
    for start, end in pairwise(edges):
        day = start or (end - timedelta(days=1) if end else _ANY_DAY)
        moments = _moments(day, windows)
        if when and not any(_is_active(variant, moment) for variant in variants for moment in moments):
            continue
        yield start, end, _daily(info, when, moments, windows)


def _is_active(variant: PriceVariant, moment: datetime) -> bool:
    return variant.constraint is None or variant.constraint.active(moment)


def _moments(day: date, windows: Sequence[Any]) -> list[datetime]:
    """The moments of `day` from which on another window may hold."""
    edges = {_utc(edge) for window in windows for edge in (window.start_time, window.end_time)}
    return [datetime.combine(day, edge, UTC) for edge in sorted(edges)] or [datetime.combine(day, time(), UTC)]


def _utc(value: time) -> time:
    if value.tzinfo is None:
        return value
    return datetime.combine(_ANY_DAY, value).astimezone(UTC).time()


def _daily(info: ModelInfo, when: dict[str, str], moments: list[datetime], windows: Sequence[Any]) -> Daily:
    """The all-day price, and the windows of the day in which another one holds."""
    segments = [(moment, info.get_prices(moment, when or None)) for moment in moments]
    outside = (price for moment, price in segments if not any(window.active(moment) for window in windows))
    all_day = next(outside, segments[0][1])
    daily: Daily = [(None, None, all_day)]
    # Begin with an all-day segment, so that a window that spans midnight is not cut in two.
    first = next(index for index, (_, price) in enumerate(segments) if price == all_day)
    turned = segments[first:] + segments[:first]
    for index, (moment, price) in enumerate(turned):
        if price == all_day:
            continue
        time_from = f"{moment:%H:%M}"
        time_to = f"{turned[(index + 1) % len(turned)][0]:%H:%M}"
        if len(daily) > 1 and daily[-1][1] == time_from and daily[-1][2] == price:
            time_from = daily.pop()[0] or time_from
        daily.append((time_from, time_to, price))
    return daily


def _merged(
    intervals: Iterator[tuple[date | None, date | None, Daily]],
) -> list[tuple[date | None, date | None, Daily]]:
    """Neighbours at the same prices as one interval: a date on which nothing changes is no news."""
    merged: list[tuple[date | None, date | None, Daily]] = []
    for start, end, daily in intervals:
        if merged and merged[-1][1] == start and merged[-1][2] == daily:
            start = merged.pop()[0]
        merged.append((start, end, daily))
    return merged


def _bands(price: ModelPrice) -> Iterator[dict[str, Any]]:
    """The fields of the base row and of each long-context band. Nothing where the model has no price per token.

    A band carries the price of every bucket, also of those that have no tier at its threshold: whichever band a call
    is in, one row prices all of it.
    """
    from genai_prices.types import TieredPrices

    prices = {key: value for key, value in vars(price).items() if value is not None and not key.startswith("_")}
    tiered = [value for value in prices.values() if isinstance(value, TieredPrices)]

    def at(above: int | None) -> dict[str, Decimal]:
        amounts = {}
        for key, value in prices.items():
            if isinstance(value, TieredPrices):
                reached = [tier.price for tier in value.tiers if above is not None and tier.start <= above]
                amounts[key] = reached[-1] if reached else value.base
            else:
                amounts[key] = value
        return amounts

    for above in [None, *sorted({tier.start for value in tiered for tier in value.tiers})]:
        fields = _fields(at(above))
        if fields:
            yield {"above_tokens": above, **fields}


def _fields(amounts: Mapping[str, Decimal]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    units: dict[str, int] = {}
    known = _units()
    for key, amount in amounts.items():
        if key in _BUCKETS:
            fields[_BUCKETS[key]] = money.picos_per_token(amount)
        elif key in _FEES:
            fields[_FEES[key]] = money.picos(amount / 1000)
        elif key in known:
            usage_key, convert = known[key]
            units[usage_key] = convert(amount)
    # A model that bills by the hour, page or character besides can't be priced from counts alone: leave it unpriced.
    if "input" not in fields and "output" not in fields and (not units or len(units) + len(fields) < len(amounts)):
        return {}
    return {**fields, "units": units} if units else fields


def _units() -> dict[str, tuple[str, Callable[[Decimal], int]]]:
    """genai-prices' price keys of other counted units: what `ledger.usage` calls the unit, and picos for one of it."""
    from genai_prices.data_units import unit_data

    def per(count: int) -> Callable[[Decimal], int]:
        return lambda amount: money.picos(amount / count)

    return {
        unit["price_key"]: (usage_key, per(unit["per"]))
        for usage_key, unit in unit_data.items()
        if unit["dimensions"]["family"] in _COUNTED
    }


@hookimpl
def register_price_sources(register: Callable[[PriceSource], None]) -> None:
    register(GenaiPrices())
