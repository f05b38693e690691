"""From price revisions to rates: which price holds when, for one combination of model, provider, tier and region.

Pure: no clock, no file. Patterns, discounts, bands and overlapping price lists are all resolved here, so that in SQL a
call meets exactly one row of `rate`, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from itertools import pairwise

from agent_ledger.clock import BEGINNING, END
from agent_ledger.records import PriceRevision

# What providers call the tier that costs the list price.
STANDARD_TIERS = frozenset({"", "standard", "default", "auto", "on_demand", "on-demand"})

MAX_TOKENS = 2**63 - 1

# Units that are counted inside prompt_tokens or completion_tokens too: a call pays the difference on top of those.
_INSIDE = {"input": "input", "cache": "cache_read", "output": "output"}


@dataclass(frozen=True, slots=True, order=True)
class RateKey:
    """A combination that needs a rate, as the ledger has it; "" where the ledger has NULL."""

    model: str
    provider: str = ""
    service_tier: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One row of table `rate`, without its key. Amounts are pico-dollars per unit; None: no price is known."""

    valid_from: str
    valid_to: str
    time_from: str
    time_to: str
    min_tokens: int
    max_tokens: int
    input: int | None
    cache_read: int | None
    cache_write: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    web_search: int | None
    request: int
    units: Mapping[str, int] | None
    price_source: str
    price_id: int


def resolve(key: RateKey, revisions: Iterable[PriceRevision]) -> list[Rate]:
    """The rates of `key`: no two of them hold for the same moment, time of day and number of input tokens.

    Where revisions overlap, the highest `priority` wins, then the row that names the region, then the exact model
    before a pattern and a longer pattern before a shorter one, then the row that names the provider, then what was
    recorded last. Revisions need `priority`, `recorded_at` and `id`.
    """
    relevant = [revision for revision in revisions if _applies(revision, key)]
    moments = sorted(
        {BEGINNING, END}
        | {revision.effective_from for revision in relevant if revision.effective_from}
        | {revision.effective_to for revision in relevant if revision.effective_to}
    )
    rates: list[Rate] = []
    for start, end in pairwise(moments):
        holding = [
            revision
            for revision in relevant
            if (revision.effective_from or BEGINNING) <= start and end <= (revision.effective_to or END)
        ]
        rates.extend(_day(_winner(holding), start, end))
    return _merge(rates)


def _applies(revision: PriceRevision, key: RateKey) -> bool:
    if revision.provider is not None and revision.provider.casefold() != key.provider.casefold():
        return False
    if revision.region is not None and revision.region.casefold() != key.region.casefold():
        return False
    if not (
        revision.model == key.model
        or (_is_pattern(revision.model) and fnmatchcase(key.model, _escaped(revision.model)))
    ):
        return False
    tier = key.service_tier.casefold()
    if revision.discount is not None and revision.service_tier is None:
        return True  # a negotiated discount holds for every tier, unless it names one
    if revision.service_tier is None or revision.service_tier.casefold() in STANDARD_TIERS:
        return tier in STANDARD_TIERS
    return revision.service_tier.casefold() == tier


def _is_pattern(model: str) -> bool:
    return "*" in model or "?" in model


def _escaped(pattern: str) -> str:
    return pattern.replace("[", "[[]")  # a bracket in a model's name is no character class


def _winner(holding: Sequence[PriceRevision]) -> list[PriceRevision]:
    """The price list that counts among those that hold at the same time, a discount already taken off."""
    if not holding:
        return []
    best = max(map(_rank, holding))
    first = [revision for revision in holding if _rank(revision) == best]
    discounts = [revision.discount for revision in first if revision.discount is not None]
    rest = [revision for revision in holding if revision.discount is None and _rank(revision) != best]
    if discounts:
        return [_lowered(revision, 1 - discounts[0], first[0]) for revision in _winner(rest)]
    if any(revision.web_search is not None for revision in first):
        return first
    # Whoever negotiates token prices rarely mentions searches: their fee stays that of the next list that has one.
    others = sorted(rest, key=_rank, reverse=True)
    fee = next((revision.web_search for revision in others if revision.web_search is not None), None)
    return [replace(revision, web_search=fee) for revision in first]


def _rank(revision: PriceRevision) -> tuple[int, bool, bool, int, str, bool, str, str]:
    """Rows of equal rank form one price list."""
    return (
        revision.priority,
        revision.region is not None,
        not _is_pattern(revision.model),
        len(revision.model),
        revision.model,
        revision.provider is not None,
        revision.recorded_at or "",
        revision.source,
    )


def _lowered(revision: PriceRevision, factor: Decimal, discount: PriceRevision) -> PriceRevision:
    def lower(price: int | None) -> int | None:
        return None if price is None else int((price * factor).to_integral_value(ROUND_HALF_EVEN))

    return replace(
        revision,
        source=discount.source,
        id=discount.id,
        input=lower(revision.input),
        cache_read=lower(revision.cache_read),
        cache_write=lower(revision.cache_write),
        cache_write_1h=lower(revision.cache_write_1h),
        output=lower(revision.output),
        reasoning=lower(revision.reasoning),
        web_search=lower(revision.web_search),
        request=lower(revision.request),
        units=None if revision.units is None else {unit: lower(price) or 0 for unit, price in revision.units.items()},
    )


def _day(price_list: Sequence[PriceRevision], start: str, end: str) -> Iterable[Rate]:
    """The rates of one interval: for each part of the day, the bands of what holds then."""
    edges = sorted(
        {"00:00", "24:00"}
        | {edge for revision in price_list for edge in (revision.time_from, revision.time_to) if edge is not None}
    )
    for time_from, time_to in pairwise(edges):
        windows = [
            revision for revision in price_list if revision.time_from is not None and _spans(revision, time_from)
        ]
        bands = windows or [revision for revision in price_list if revision.time_from is None]
        yield from _bands(bands, start, end, time_from, time_to)


def _spans(revision: PriceRevision, time: str) -> bool:
    time_from, time_to = revision.time_from or "00:00", revision.time_to or "24:00"
    if time_from < time_to:
        return time_from <= time < time_to
    return time >= time_from or time < time_to


def _bands(bands: Sequence[PriceRevision], start: str, end: str, time_from: str, time_to: str) -> Iterable[Rate]:
    lower_bounds = {_lower_bound(band): band for band in bands}
    ordered = sorted(lower_bounds.items())
    for index, (min_tokens, band) in enumerate(ordered):
        max_tokens = ordered[index + 1][0] if index + 1 < len(ordered) else MAX_TOKENS
        yield _rate(band, start, end, time_from, time_to, min_tokens, max_tokens)


def _lower_bound(band: PriceRevision) -> int:
    if band.above_tokens is None:
        return 0
    return band.above_tokens + 1 if band.comparator == "gt" else band.above_tokens


def _rate(
    band: PriceRevision, start: str, end: str, time_from: str, time_to: str, min_tokens: int, max_tokens: int
) -> Rate:
    # A bucket without a price of its own costs what the tokens it is part of cost, as in genai-prices.
    cache_read = band.input if band.cache_read is None else band.cache_read
    cache_write = band.input if band.cache_write is None else band.cache_write
    prices = {"input": band.input, "cache_read": cache_read, "output": band.output}
    return Rate(
        valid_from=start,
        valid_to=end,
        time_from=time_from,
        time_to=time_to,
        min_tokens=min_tokens,
        max_tokens=max_tokens,
        input=band.input,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=cache_write if band.cache_write_1h is None else band.cache_write_1h,
        output=band.output,
        reasoning=band.output if band.reasoning is None else band.reasoning,
        web_search=band.web_search,
        request=band.request or 0,
        units={unit: price - _counted_already(unit, prices) for unit, price in band.units.items()}
        if band.units
        else None,
        price_source=band.source,
        price_id=band.id or 0,
    )


def _counted_already(unit: str, prices: Mapping[str, int | None]) -> int:
    """What a unit already pays as a part of prompt_tokens or completion_tokens."""
    if not unit.endswith("_tokens"):
        return 0
    return prices.get(_INSIDE.get(unit.split("_", 1)[0], ""), 0) or 0


def _merge(rates: Sequence[Rate]) -> list[Rate]:
    """Join neighbours in time that differ in nothing else."""
    merged: dict[tuple[object, ...], Rate] = {}
    done: list[Rate] = []
    for rate in rates:
        signature = (rate.time_from, rate.min_tokens)
        before = merged.get(signature)
        if (
            before is not None
            and before.valid_to == rate.valid_from
            and replace(before, valid_to=rate.valid_to) == replace(rate, valid_from=before.valid_from)
        ):
            merged[signature] = replace(before, valid_to=rate.valid_to)
            continue
        if before is not None:
            done.append(before)
        merged[signature] = rate
    return sorted([*done, *merged.values()], key=lambda rate: (rate.valid_from, rate.time_from, rate.min_tokens))
