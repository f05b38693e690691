"""FOCUS, the cost and usage columns that providers agree on: versions 1.0 to 1.4, and later ones that keep them.

One cost measure holds for a whole ledger: `billed` (the default; `unblended` is the same), `effective` (commitments
spread over what they cover), `contracted` or `list`. Rows that a provider has split (`AllocatedMethodId`, 1.3) stand in
the place of the row they were split from, so each row counts, once.

Lines have no id in FOCUS: theirs follows from their content, and from how often it came before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from agent_ledger import clock
from agent_ledger.errors import ImportFailed, InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import cells, columns, fields, lines, token_lines
from agent_ledger.importers.columns import Column, Kind
from agent_ledger.records import Charge, Fact, Refused

_MEASURES: Final = {
    None: "BilledCost",
    "billed": "BilledCost",
    "unblended": "BilledCost",
    "effective": "EffectiveCost",
    "contracted": "ContractedCost",
    "list": "ListCost",
}
# In the order in which `_Reading.charge` takes a line apart; the cost comes first.
_FIXED: Final[dict[str, Kind]] = {
    "BillingAccountId": "text",
    "BillingCurrency": "text",
    "BillingPeriodStart": "time",
    "BillingPeriodEnd": "time",
    "ChargePeriodStart": "time",
    "ChargePeriodEnd": "time",
    "ChargeCategory": "text",
    "ChargeClass": "text",
    "ChargeDescription": "text",
    "ProviderName": "text",
    "ServiceProviderName": "text",
    "HostProviderName": "text",
    "InvoiceIssuerName": "text",
    "InvoiceId": "text",
    "SubAccountId": "text",
    "ServiceName": "text",
    "x_ServiceCode": "text",
    "ResourceId": "text",
    "AllocatedResourceId": "text",
    "x_Operation": "text",
    "x_UsageType": "text",
    "SkuMeter": "text",
    "x_SkuMeterName": "text",
    "ConsumedQuantity": "number",
    "ConsumedUnit": "text",
    "PricingQuantity": "number",
    "PricingUnit": "text",
    "Tags": "map",
    "AllocatedTags": "map",
    # Not read, but they tell lines apart.
    "AvailabilityZone": "text",
    "RegionId": "text",
    "SkuId": "text",
    "SkuPriceId": "text",
    "CommitmentDiscountId": "text",
    "AllocatedMethodId": "text",
}
_READ: Final = 29
_NEEDED: Final = (
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodStart",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
)
_NAMES: Final = ("ProviderName", "ServiceProviderName", "HostProviderName", "InvoiceIssuerName")
_CATEGORY: Final = {
    "usage": "usage",
    "purchase": "purchase",
    "tax": "tax",
    "credit": "credit",
    "adjustment": "adjustment",
}
# How the names of those who bill begin, and what they are called here. Resellers bill under their own name.
_CLOUDS: Final = {
    "amazon": "aws",
    "aws": "aws",
    "microsoft": "azure",
    "azure": "azure",
    "google": "google",
    "gcp": "google",
    "oracle": "oracle",
    "oci": "oracle",
    "alibaba": "alibaba",
    "tencent": "tencent",
}
_VENDORS: Final = {
    "anthropic": "anthropic",
    "openai": "openai",
    "mistral": "mistral",
    "cohere": "cohere",
    "x.ai": "xai",
}


class Focus:
    """Reads one file of a FOCUS export, or a folder of them."""

    name = "focus"
    is_bill = True
    summary = "FOCUS bills of any provider, 1.0 to 1.4: CSV, gzip or Parquet, a file or a folder"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all parts below a folder; manifests are left out."""
        return lines.found(path, (".csv", ".csv.gz", ".parquet"))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """A charge per line."""
        reading = _Reading(file, defaults)
        with columns.opened(file, reading.choose, advance) as rows:
            yield from fields.distinct(_lines(rows, reading))


def _lines(rows: Iterator[columns.Numbered], reading: _Reading) -> Iterator[Charge | Refused]:
    for number, row in rows:
        if isinstance(row, str):
            yield Refused(number, row)
            continue
        try:
            charge = reading.charge(row)
        except InvalidRecord as error:
            yield Refused(number, fields.sentence(error))
        else:
            yield charge


class _Reading:
    """How the lines of one file become charges."""

    def __init__(self, file: Path, defaults: Defaults) -> None:
        if defaults.cost_measure not in _MEASURES:
            raise ImportFailed(
                f"{file} has no cost measure {defaults.cost_measure}: FOCUS has billed, effective, contracted and list."
            )
        self._file = file
        self._cost = _MEASURES[defaults.cost_measure]

    def choose(self, names: Sequence[str]) -> Sequence[Column | None]:
        """The cost, and the columns that we know; databases on the way spell them their own way."""
        found: dict[str, str] = {}
        for name in names:
            found.setdefault(cells.squeezed(name), name)
        missing = [name for name in (self._cost, *_NEEDED) if cells.squeezed(name) not in found]
        if not any(cells.squeezed(name) in found for name in _NAMES):
            missing.append("ProviderName (since 1.3 ServiceProviderName)")
        if missing:
            raise ImportFailed(
                f"{self._file} lacks {', '.join(missing)}: every version of FOCUS has it, export it anew."
            )
        chosen: list[Column | None] = []
        for name, kind in ({self._cost: "number"} | _FIXED).items():
            column = found.get(cells.squeezed(name))
            chosen.append(Column(column, kind) if column else None)  # type: ignore[arg-type]
        return chosen

    def charge(self, row: Sequence[Any]) -> Charge:
        """The charge of a line."""
        (
            cost, payer, currency, billing, billing_end, start, end, category, class_, description, provider,
            service_provider, host, issuer, invoice, account, service, code, resource, allocated, operation,
            usage_type, meter, meter_name, consumed, consumed_unit, priced, priced_unit, tags, allocated_tags,
        ) = [None if cell == "NULL" or cell == "" else cell for cell in row[: _READ + 1]]  # fmt: skip
        who = _provider(service_provider or provider or host or issuer)
        category = _category(category, class_)
        start = cells.moment("ChargePeriodStart", start)
        usage_type = usage_type or meter or meter_name
        counted = (consumed, consumed_unit) if consumed is not None else (priced, priced_unit)
        tokens = token_lines.on_bill(who, service or "", usage_type or description or "", counted[1] or "")
        if category == "tax":
            tokens = None
        return cells.checked(
            Charge(
                bill=f"{_biller(issuer) or who} {cells.required('BillingAccountId', payer)}",
                billing_period=_month(
                    cells.moment("BillingPeriodStart", billing),
                    None if billing_end is None else cells.moment("BillingPeriodEnd", billing_end),
                ),
                period_start=start,
                period_end=cells.period(start, cells.moment("ChargePeriodEnd", end)),
                provider=who,
                charge_id=cells.content_id(row),
                cost=cells.cost(self._cost, cost),
                currency=cells.currency("BillingCurrency", currency),
                account=account or payer,
                service=code or service,
                resource_id=allocated or resource,
                operation=operation,
                usage_type=usage_type,
                quantity=cells.number("ConsumedQuantity", counted[0]),
                unit=counted[1],
                invoice_id=invoice,
                tags=cells.tags("Tags", tags) | cells.tags("AllocatedTags", allocated_tags) or None,
                category=category,
                kind="llm" if tokens else "cloud",
                model=tokens and tokens.model,
                token_type=tokens and tokens.token_type,
                description=description,
            )
        )


@lru_cache(maxsize=2**10)
def _provider(name: str | None) -> str:
    """What we call a provider; one that is not known is called by its own name."""
    text = cells.required("ProviderName", name).strip().lower()
    for known, ours in (_CLOUDS | _VENDORS).items():
        if text.startswith(known):
            return ours
    return text


@lru_cache(maxsize=2**10)
def _biller(name: str | None) -> str | None:
    """The cloud that issues the invoice, so that what it resells is on the same bill as in its own format."""
    text = (name or "").strip().lower()
    return next((ours for known, ours in _CLOUDS.items() if text.startswith(known)), None)


def _category(category: str | None, class_: str | None) -> str:
    found = _CATEGORY.get(cells.required("ChargeCategory", category).lower(), "adjustment")
    corrects = (class_ or "").lower() == "correction"
    return "adjustment" if corrects and found in ("usage", "purchase") else found


@lru_cache(maxsize=2**10)
def _month(start: str, end: str | None) -> str:
    """The month that the billing period lies in. Providers far from UTC begin it on the last or the first day."""
    if end is None or end <= start:
        return start[:7]
    first = datetime.fromisoformat(start)
    return clock.timestamp(first + (datetime.fromisoformat(end) - first) / 2)[:7]


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `focus`."""
    register(Focus())
