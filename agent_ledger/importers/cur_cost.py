"""What a line of a Cost and Usage Report costs, by the measure that the ledger has chosen.

`effective` follows the amortised cost of AWS's own queries: what a commitment covers costs its share of it, the fees
cost what was not used, and everything else what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from agent_ledger.errors import ImportFailed
from agent_ledger.importers import cells

COLUMNS: Final = (
    "line_item_unblended_cost",
    "line_item_net_unblended_cost",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
    "reservation_effective_cost",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
    "split_line_item_split_cost",
    "split_line_item_unused_cost",
    "split_line_item_net_split_cost",
    "split_line_item_net_unused_cost",
)
_PLACE: Final = {name: place for place, name in enumerate(COLUMNS)}
_UNBLENDED, _NET = COLUMNS[:2]
_PLAN_COVERED, _PLAN_COMMITTED, _PLAN_USED, _RESERVED, _UNUSED_UPFRONT, _UNUSED_RECURRING = COLUMNS[2:8]
_SPLIT, _SPLIT_NET = COLUMNS[8:10], COLUMNS[10:12]
_GROUPS: Final = ("split_line_item", "line_item", "savings_plan", "reservation", "bill", "identity", "pricing")
_MEASURES: Final = {None: "unblended", "billed": "unblended"}
_NOTHING: Final = Decimal(0)

_Money = Sequence[Any]  # the cells of COLUMNS


def legacy(name: str) -> str:
    """A column's name in a legacy CSV: line_item_usage_amount -> lineItem/UsageAmount."""
    group = next(group for group in _GROUPS if name.startswith(f"{group}_"))
    first, *rest = group.split("_")
    tail = "".join(word.capitalize() for word in name[len(group) + 1 :].split("_"))
    return f"{first}{''.join(map(str.capitalize, rest))}/{tail}"


class Measure:
    """A cost measure, for a file with certain columns."""

    def __init__(self, file: Path, name: str | None) -> None:
        self._file = file
        self._name = _MEASURES.get(name, name)
        if self._name not in ("unblended", "net_unblended", "effective"):
            raise ImportFailed(f"{file} has no cost measure {name}: a CUR has unblended, net_unblended and effective.")
        self._net = self._name == "net_unblended"
        self.needed: Final = (_UNBLENDED, _NET) if self._net else (_UNBLENDED,)
        self.there: frozenset[str] = frozenset()
        """The columns of COLUMNS that the file has."""

    def cost(self, line_type: str, reserved: bool, money: _Money) -> Decimal:
        """What a line costs. `reserved`: it names a reservation."""
        if self._name == "unblended":
            return cells.cost(_UNBLENDED, money[0])
        if self._net:
            return self._net_cost(line_type, money)
        return self._effective(line_type, reserved, money)

    def share(self, money: _Money) -> Decimal | None:
        """What a container used of its instance, and its part of what nobody used; None: the line is no container's."""
        columns = _SPLIT_NET if self._net else _SPLIT
        used = self._cell(columns[0], money)
        return None if used is None else used + (self._cell(columns[1], money) or 0)

    def _net_cost(self, line_type: str, money: _Money) -> Decimal:
        found = cells.number(_NET, money[1])
        if found is not None:
            return found
        # Empty where no discount applies. A discount's own line is netted into the others already.
        return _NOTHING if line_type.endswith("Discount") else cells.cost(_UNBLENDED, money[0])

    def _effective(self, line_type: str, reserved: bool, money: _Money) -> Decimal:
        if line_type == "SavingsPlanCoveredUsage":
            return cells.cost(_PLAN_COVERED, self._cell(_PLAN_COVERED, money))
        if line_type == "DiscountedUsage":
            return cells.cost(_RESERVED, self._cell(_RESERVED, money))
        if line_type == "SavingsPlanRecurringFee":
            committed = cells.cost(_PLAN_COMMITTED, self._cell(_PLAN_COMMITTED, money))
            return committed - cells.cost(_PLAN_USED, self._cell(_PLAN_USED, money))
        if line_type == "RIFee":
            upfront, recurring = (self._cell(name, money) or 0 for name in (_UNUSED_UPFRONT, _UNUSED_RECURRING))
            return _NOTHING + upfront + recurring
        if line_type in ("SavingsPlanNegation", "SavingsPlanUpfrontFee") or (line_type == "Fee" and reserved):
            return _NOTHING
        return cells.cost(_UNBLENDED, money[0])

    def _cell(self, name: str, money: _Money) -> Decimal | None:
        if name not in self.there:
            raise ImportFailed(
                f"{self._file} has lines whose {self._name} cost is in {name} ({legacy(name)}), and lacks that column:"
                " export the report with it, or choose another cost measure."
            )
        return cells.number(name, money[_PLACE[name]])
