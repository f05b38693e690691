"""What a price row must satisfy before it enters a ledger, whichever source it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from agent_ledger.errors import InvalidPrice
from agent_ledger.prices.factors import TOKEN_BUCKETS
from agent_ledger.prices.intervals import intersect, interval, subtract
from agent_ledger.records import PriceRevision

FEES = ("web_search", "request")
PRICES = (*TOKEN_BUCKETS, *FEES)

# $4,000 per million tokens and $1 per request, as in the checks of table price_revision: dearer ones would overflow
# the ledger's 64-bit sums, and no published price comes near (the dearest are $600 and $0.035).
MAXIMUM_PER_TOKEN = 4_000_000_000
MAXIMUM_PER_REQUEST = 10**12

FREE_SUFFIXES = (":free", "-free")
FREE_BASIS = "free"  # how a row says that the user declared the model free


Scope = tuple[bool, str | None, str | None, str | None, str | None, str | None, str | None, str | None]


class Complaint(NamedTuple):
    """What is wrong with one row."""

    row: int  # its index
    field: str
    value: object
    remedy: str


def validate(rows: Sequence[PriceRevision], free: bool = False) -> None:
    """Refuse `rows` if one of them can't be right. `free` says that the user declared their models free.

    Raises InvalidPrice, which names the model, the source, the field and the value.
    """
    for complaint in complaints(rows, free):
        row = rows[complaint.row]
        raise InvalidPrice(
            f"{row.source} has a price for {row.model} whose {complaint.field} is {complaint.value!r}"
            f"{' pico-dollars' if complaint.field in PRICES and complaint.value is not None else ''}: "
            f"{complaint.remedy}"
        )


def complaints(rows: Sequence[PriceRevision], free: bool = False) -> Iterator[Complaint]:
    """Everything that is wrong with `rows`, in their order."""
    price_lists: dict[Scope, dict[int | None, list[PriceRevision]]] = {}  # scope -> above_tokens -> rows
    for row in rows:
        price_lists.setdefault(_scope(row), {}).setdefault(row.above_tokens, []).append(row)
    for index, row in enumerate(rows):
        for field, value, remedy in _problems(row, free or is_free(row)):
            yield Complaint(index, field, value, remedy)
        bands = price_lists[_scope(row)]
        if row.above_tokens is not None and row.discount is None and not _covered(row, bands.get(None, [])):
            yield Complaint(
                index,
                "above_tokens",
                row.above_tokens,
                "add the row without above_tokens for the same model, tier, region and time: it prices shorter calls",
            )
        if any(intersect(interval(other), interval(row)) for other in _before(row, bands[row.above_tokens])):
            yield Complaint(
                index,
                "effective_from",
                row.effective_from,
                "a row before prices the same model, tier, region and band then: let one end where the other begins",
            )


def is_free(row: PriceRevision) -> bool:
    """Is $0 what this model costs? Providers mark such models in the name; for others the user has to say so."""
    return row.model.lower().endswith(FREE_SUFFIXES) or row.basis == FREE_BASIS


def _problems(row: PriceRevision, free: bool) -> Iterator[tuple[str, object, str]]:
    for name in ("model", "provider", "service_tier", "region"):
        text = getattr(row, name)
        if text is not None and (not text.strip() or "\0" in text):
            yield name, text, "give text that is not empty"
    amounts = {name: getattr(row, name) for name in PRICES if getattr(row, name) is not None} | dict(row.units or {})
    for name, amount in amounts.items():
        per_token = name in TOKEN_BUCKETS or name.endswith("_tokens")
        maximum = MAXIMUM_PER_TOKEN if per_token else MAXIMUM_PER_REQUEST
        if amount < 0:
            yield name, amount, "a price can't be negative; leave it out if it is not known"
        elif amount > maximum:
            limit = "$4,000 per million tokens" if per_token else "$1 per request"
            yield name, amount, f"the highest price that can be stored is {limit}; check its unit"
    if row.discount is not None:
        yield from _discount_problems(row, row.discount, amounts)
    elif not amounts:
        yield "input", None, "give at least one price, or a discount"
    elif not free and _is_zero(row):
        yield "input", 0, "a model costs $0 only if it is declared free; an unknown price is left out, not zero"
    if row.effective_from is not None and row.effective_to is not None and row.effective_to <= row.effective_from:
        yield "effective_to", row.effective_to, f"it must be after effective_from, {row.effective_from}"
    if row.comparator not in ("gt", "ge"):
        yield "comparator", row.comparator, 'use "gt" (above the threshold) or "ge" (at the threshold and above)'
    if row.above_tokens is not None and row.above_tokens < 0:
        yield "above_tokens", row.above_tokens, "a threshold is a number of tokens, 0 or more"


def _discount_problems(
    row: PriceRevision, discount: Decimal, amounts: dict[str, int]
) -> Iterator[tuple[str, object, str]]:
    if not 0 < discount < 1:
        yield "discount", str(discount), "it must lie between 0 and 1, both exclusive: write 15% or 0.15"
    if amounts:
        yield "discount", str(discount), f"give either a discount or prices, not both ({', '.join(amounts)})"
    if row.above_tokens is not None:
        yield "above_tokens", row.above_tokens, "leave it out: a discount lowers every band of the list price"


def _is_zero(row: PriceRevision) -> bool:
    """Is every token free? Sources write so what they have forgotten (LiteLLM: retired models), fees left standing."""
    tokens = [row.input, row.output, *(price for unit, price in (row.units or {}).items() if unit.endswith("_tokens"))]
    known = [price for price in tokens if price is not None]
    return bool(known) and not any(known) and not row.request


def _before(row: PriceRevision, rows: Sequence[PriceRevision]) -> Iterator[PriceRevision]:
    for other in rows:
        if other is row:
            return
        yield other


def _covered(band: PriceRevision, bases: Sequence[PriceRevision]) -> bool:
    """Is there a base row at every moment of `band`?"""
    return not subtract(interval(band), [interval(base) for base in bases])


def _scope(row: PriceRevision) -> Scope:
    """Rows of one scope form one price list; a discount stands beside it."""
    place = (row.source, row.provider, row.model, row.service_tier, row.region, row.time_from, row.time_to)
    return (row.discount is not None, *place)
