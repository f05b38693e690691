"""AWS Cost and Usage Reports: legacy (`lineItem/UsageAmount`), Athena's names, and CUR 2.0 with its map columns.

One cost measure holds for a whole ledger:

* `unblended` (the default): what the bill says, month by month; its sum is the invoice before rounding.
* `net_unblended`: after discounts that AWS nets into the lines.
* `effective`: fees of Reserved Instances and Savings Plans spread over what they cover. Upfront fees and
  SavingsPlanNegation are 0 then, recurring fees what was not used of them.

Containers on EC2 (split cost allocation) get their share and the instance is less by it: see `cur_split`. The share is
an effective cost, so choose that measure where instances are covered by Savings Plans or reserved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from agent_ledger.errors import ImportFailed, InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import cells, columns, cur_cost, fields, lines, token_lines
from agent_ledger.importers.columns import Column, Kind
from agent_ledger.importers.cur_split import Instances
from agent_ledger.records import Charge, Fact, Refused

# In the order in which `_Reading.charge` takes a line apart. The names are Athena's and CUR 2.0's.
_TEXT: Final = (
    "identity_line_item_id",
    "identity_time_interval",
    "bill_payer_account_id",
    "bill_invoice_id",
    "bill_billing_entity",
    "line_item_usage_account_id",
    "line_item_line_item_type",
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_resource_id",
    "line_item_currency_code",
    "pricing_unit",
    "line_item_line_item_description",
    "product_product_name",
    "reservation_reservation_a_r_n",
    "line_item_iam_principal",
    "split_line_item_parent_resource_id",
)
_TIMES: Final = ("bill_billing_period_start_date", "line_item_usage_start_date", "line_item_usage_end_date")
_NUMBERS: Final = ("line_item_usage_amount",)
_MAPS: Final = ("product", "resource_tags", "tags", "cost_category")
_FIXED: Final[dict[str, Kind]] = {
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys(_TIMES, "time"),
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(_MAPS, "map"),
}
_NEEDED: Final = (
    "bill_payer_account_id",
    "bill_billing_period_start_date",
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_end_date",
    "line_item_currency_code",
)
_CATEGORY: Final = {
    "Usage": "usage",
    "DiscountedUsage": "usage",
    "SavingsPlanCoveredUsage": "usage",
    "SavingsPlanNegation": "discount",
    "SavingsPlanRecurringFee": "purchase",
    "SavingsPlanUpfrontFee": "purchase",
    "RIFee": "purchase",
    "Fee": "fee",
    "Tax": "tax",
    "Credit": "credit",
    "Refund": "refund",
}
_TAG_COLUMNS: Final = {
    "resourcetags/": "",
    "resource_tags_": "",
    "costcategory/": "costCategory/",
    "cost_category_": "costCategory/",
}
_NUMBER: Final[Kind] = "number"
_MONEY_AT: Final = len(_FIXED)
_TAGS_AT: Final = _MONEY_AT + len(cur_cost.COLUMNS)
# What nobody used of an instance has a line too; containers have their part of it in their own.
_UNUSED: Final = re.compile(r"(?:^|[/:])unused$", re.I)


class Cur:
    """Reads one file of a report, or a folder with the parts of a delivery."""

    name = "cur"
    is_bill = True
    summary = "AWS Cost and Usage Reports, legacy and 2.0: CSV, gzip or Parquet, a file or a delivery's folder"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all parts below a folder; manifests and what Athena's integration adds are left out."""
        found = lines.found(path, (".csv", ".csv.gz", ".parquet"))
        parts = [file for file in found if "cost_and_usage_data_status" not in file.parts]
        if not parts:
            raise ImportFailed(f"{path} holds the status of a report, and none of its parts: give another folder.")
        return parts

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """A charge per line."""
        with closing(_Reading(file, defaults)) as reading, columns.opened(file, reading.choose, advance) as rows:
            yield from fields.distinct(reading.lines(rows))


class _Reading:
    """How the lines of one file become charges: that follows from its columns."""

    def __init__(self, file: Path, defaults: Defaults) -> None:
        self._file = file
        self._measure = cur_cost.Measure(file, defaults.cost_measure)
        self._tags: list[str] = []
        self._instances: Instances | None = None

    def close(self) -> None:
        """Throw away what was kept aside."""
        if self._instances:
            self._instances.close()

    def choose(self, names: Sequence[str]) -> Sequence[Column | None]:
        """The columns that every report has, then those of money, then one for each tag."""
        found: dict[str, str] = {}
        for name in names:
            found.setdefault(cells.squeezed(name), name)
        missing = [name for name in (*_NEEDED, *self._measure.needed) if cells.squeezed(name) not in found]
        if missing:
            legacy = any("/" in name for name in names)
            said = ", ".join(map(cur_cost.legacy, missing) if legacy else missing)
            raise ImportFailed(f"{self._file} lacks {said}: a Cost and Usage Report needs it, export it anew.")
        self._measure.there = frozenset(name for name in cur_cost.COLUMNS if cells.squeezed(name) in found)
        if "splitlineitemparentresourceid" in found:
            self._instances = Instances()
        chosen: list[Column | None] = []
        for name, kind in (_FIXED | dict.fromkeys(cur_cost.COLUMNS, _NUMBER)).items():
            column = found.get(cells.squeezed(name))
            chosen.append(Column(column, kind) if column else None)
        taken = {column.name for column in chosen if column}
        for name in names:  # tags may differ in their spelling only
            for prefix, ours in _TAG_COLUMNS.items():
                if name not in taken and name.lower().startswith(prefix):
                    self._tags.append(ours + name[len(prefix) :])
                    chosen.append(Column(name, "text"))
        return chosen

    def lines(self, rows: Iterator[columns.Numbered]) -> Iterator[Charge | Refused]:
        """The charges in the order of their lines, and then the instances that had to wait."""
        for number, row in rows:
            if isinstance(row, str):
                yield Refused(number, row)
                continue
            try:
                charge = self._charge(row)
            except InvalidRecord as error:
                yield Refused(number, fields.sentence(error))
            else:
                if charge:
                    yield charge
        if self._instances:
            yield from self._instances.lines()

    def _charge(self, row: Sequence[Any]) -> Charge | None:
        """The charge of a line; None: an instance, which has to wait for its containers."""
        (
            line_id, interval, payer, invoice, entity, account, line_type, service, usage_type, operation, resource,
            currency, unit, description, product, reservation, principal, parent, billing, start, end, quantity,
            products, resource_tags, tags, cost_category,
        ) = row[:_MONEY_AT]  # fmt: skip
        money = row[_MONEY_AT:_TAGS_AT]
        if products and not product:
            product = cells.tags("product", products).get("product_name")
        start = cells.moment("line_item_usage_start_date", start)
        end = cells.period(start, cells.moment("line_item_usage_end_date", end))
        interval = interval or f"{start}/{end}"
        tokens = token_lines.on_bedrock(service or "", usage_type or "", product or "") if usage_type else None
        line_id = f"{line_id}@{interval}" if line_id else cells.content_id(row)
        share = self._measure.share(money) if parent and not _UNUSED.search(resource or "") else None
        charge = cells.checked(
            Charge(
                bill=f"aws {cells.required('bill_payer_account_id', payer)}",
                billing_period=cells.moment("bill_billing_period_start_date", billing)[:7],
                period_start=start,
                period_end=end,
                provider="aws",
                charge_id=line_id if share is None else f"{line_id}@{resource}",
                cost=self._measure.cost(line_type or "", bool(reservation), money),
                currency=cells.currency("line_item_currency_code", currency),
                account=account or None,
                service=(product if entity == "AWS Marketplace" else None) or service or None,
                resource_id=resource or None,
                operation=operation or None,
                usage_type=usage_type or None,
                quantity=cells.number("line_item_usage_amount", quantity),
                unit=unit or None,
                invoice_id=invoice or None,
                tags=self._tagged(row, resource_tags, tags, cost_category, principal),
                category=_category(line_type or "", bool(reservation)),
                kind="llm" if tokens else "cloud",
                model=tokens and tokens.model,
                token_type=tokens and tokens.token_type,
                description=description or None,
            )
        )
        if share is not None and self._instances:
            return self._instances.use(charge, parent, interval, share)
        return None if self._instances and self._instances.wait(charge, interval) else charge

    def _tagged(
        self, row: Sequence[Any], resource_tags: Any, tags: Any, cost_category: Any, principal: str | None
    ) -> dict[str, str] | None:
        found = {name: cell for name, cell in zip(self._tags, row[_TAGS_AT:], strict=False) if cell}
        if resource_tags:
            found |= cells.tags("resource_tags", resource_tags)
        if tags:
            named = cells.tags("tags", tags)
            found |= {name.removeprefix("resourceTags/"): value for name, value in named.items()}
        if cost_category:
            named = cells.tags("cost_category", cost_category)
            found |= {f"costCategory/{name}": value for name, value in named.items()}
        if principal:
            found["iamPrincipal"] = principal
        return found or None


def _category(line_type: str, reserved: bool) -> str:
    if line_type == "Fee" and reserved:
        return "purchase"
    if line_type in _CATEGORY:
        return _CATEGORY[line_type]
    # EdpDiscount, BundledDiscount, PrivateRateDiscount, …: AWS adds more
    return "discount" if line_type.endswith("Discount") else "adjustment"


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `cur`."""
    register(Cur())
