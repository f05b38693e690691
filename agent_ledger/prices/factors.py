"""Published multipliers that no price list carries, as data, and the absolute prices that follow from them.

A factor generates price rows; nothing multiplies when a call is priced. genai-prices has batch and service-tier prices
only from 2026-10 on (its price variants), and never regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from agent_ledger import money
from agent_ledger.prices.intervals import Interval, intersect, interval, subtract
from agent_ledger.records import PriceRevision

TOKEN_BUCKETS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One published multiplier on token prices. Fees per search or request are never multiplied."""

    provider: str  # genai-prices' id
    factor: Decimal
    citation: str
    service_tier: str | None = None  # the tier it makes from the standard one
    region: str | None = None  # the region it makes, of every tier
    since: str | None = None  # None: as long as the models exist
    models: str | None = None  # pattern of genai-prices' model ids; None: all
    minimum_version: tuple[int, int] | None = None  # of Claude models
    like_published: bool = False
    """Only models that have a published price for the tier, and only the buckets that it lowers: OpenAI's batch price
    list has no cached price for gpt-4o, and flex is for a few models."""


FACTORS = (
    Factor(
        provider="anthropic",
        service_tier="batch",
        factor=Decimal("0.5"),
        since="2024-10-08T00:00:00.000Z",
        citation="Anthropic, Message Batches (2024-10-08): 50 % of every token price, cache reads and writes included",
    ),
    Factor(
        provider="openai",
        service_tier="batch",
        factor=Decimal("0.5"),
        since="2024-04-15T00:00:00.000Z",
        like_published=True,
        citation="OpenAI, Batch API (2024-04-15): 50 % discount",
    ),
    Factor(
        provider="openai",
        service_tier="flex",
        factor=Decimal("0.5"),
        since="2025-04-17T00:00:00.000Z",
        like_published=True,
        citation="OpenAI, flex processing (2025-04-17): tokens at Batch API rates",
    ),
    Factor(
        provider="anthropic",
        region="us",
        factor=Decimal("1.1"),
        minimum_version=(4, 6),
        citation="Anthropic, data residency: inference_geo us is 1.1x on all token categories from Claude 4.6 on",
    ),
    *(
        Factor(
            provider="openai",
            region=region,
            factor=Decimal("1.1"),
            models=r"gpt-(5\.[4-9]|6|realtime-2\.1)(?![0-9])",
            citation="OpenAI, regional processing: 10 % uplift; families as in LiteLLM 1.109's "
            "regional_processing_uplift_multiplier_us and _eu",
        )
        for region in ("us", "eu")
    ),
)

_CLAUDE = re.compile(
    r"claude-(?:opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)"
    r"|claude-(\d{1,2})(?:[-.](\d{1,2}))?-(?:opus|sonnet|haiku|fable|mythos)"
)


def claude_version(model: str) -> tuple[int, int] | None:
    """(4, 6) for claude-opus-4-6, (4, 0) for claude-sonnet-4-20250514; None for what is not such a name."""
    found = _CLAUDE.search(model.lower())
    if not found:
        return None
    major, minor = (found[1], found[2]) if found[1] else (found[3], found[4])
    return int(major), int(minor or 0)


def derive(rows: Sequence[PriceRevision], provider: str, model: str) -> list[PriceRevision]:
    """The rows that follow from `rows`, the published ones of `model` (both names as genai-prices has them).

    They never overlap a published row of the same service tier and region: where one begins, the derived row ends.
    Regions come last, so that they also hold on top of derived tiers.
    """
    derived: list[PriceRevision] = []
    applicable = [factor for factor in FACTORS if factor.provider == provider and _applies(factor, model)]
    for factor in sorted(applicable, key=lambda factor: factor.region is not None):
        if factor.region is None:
            derived += _tier(factor, rows)
        else:
            derived += _region(factor, [*rows, *(row for row in derived if row.region is None)])
    return derived


def _applies(factor: Factor, model: str) -> bool:
    if factor.minimum_version is not None:
        version = claude_version(model)
        return version is not None and version >= factor.minimum_version
    return factor.models is None or re.match(factor.models, model) is not None


def _tier(factor: Factor, rows: Sequence[PriceRevision]) -> list[PriceRevision]:
    standard = [row for row in rows if row.service_tier is None and row.region is None]
    published = [row for row in rows if row.service_tier == factor.service_tier and row.region is None]
    lowered = _lowered(standard, published) if factor.like_published else None
    if lowered is not None and not lowered:
        return []
    return [
        replace(
            _scaled(row, factor.factor, lowered),
            service_tier=factor.service_tier,
            effective_from=start,
            effective_to=end,
            basis=_basis(row, f"{factor.factor} x standard ({factor.service_tier})"),
        )
        for row in standard
        for start, end in _open(row, factor, published)
    ]


def _region(factor: Factor, rows: Sequence[PriceRevision]) -> list[PriceRevision]:
    return [
        replace(
            _scaled(row, factor.factor, None),
            region=factor.region,
            effective_from=start,
            effective_to=end,
            basis=_basis(row, f"{factor.factor} x {row.service_tier or 'standard'} (region {factor.region})"),
        )
        for row in rows
        if row.region is None
        for start, end in _open(
            row, factor, [own for own in rows if own.region == factor.region and own.service_tier == row.service_tier]
        )
    ]


def _open(row: PriceRevision, factor: Factor, published: Iterable[PriceRevision]) -> list[Interval]:
    """When `factor` makes a price from `row`: since it was published, and while nothing published replaces it."""
    holds = intersect(interval(row), (factor.since, None))
    return [] if holds is None else subtract(holds, [interval(own) for own in published])


def _lowered(standard: Sequence[PriceRevision], published: Sequence[PriceRevision]) -> frozenset[str]:
    """The buckets and units whose published tier price is below the standard price of the same time."""
    lowered: set[str] = set()
    for own in published:
        for base in standard:
            same = (base.above_tokens, base.time_from) == (own.above_tokens, own.time_from) == (None, None)
            if same and intersect(interval(own), interval(base)):
                lowered |= {key for key, amount in _tokens(own).items() if amount < _tokens(base).get(key, amount)}
    return frozenset(lowered)


def _tokens(row: PriceRevision) -> dict[str, int]:
    buckets = {bucket: getattr(row, bucket) for bucket in TOKEN_BUCKETS}
    units = {unit: amount for unit, amount in (row.units or {}).items() if unit.endswith("_tokens")}
    return {key: amount for key, amount in {**buckets, **units}.items() if amount is not None}


def _scaled(row: PriceRevision, factor: Decimal, only: frozenset[str] | None) -> PriceRevision:
    scaled = {
        key: money.picos(money.dollars(amount) * factor)
        for key, amount in _tokens(row).items()
        if only is None or key in only
    }
    units = {unit: scaled.get(unit, amount) for unit, amount in (row.units or {}).items()}
    changed: dict[str, Any] = {key: scaled[key] for key in TOKEN_BUCKETS if key in scaled}
    return replace(row, units=units or None, **changed)


def _basis(row: PriceRevision, how: str) -> str:
    _, _, note = (row.basis or "").partition("; ")
    return f"{how}; {note}" if note else how
