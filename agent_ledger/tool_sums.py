"""Summing tool calls by place, in one pass over the rows, like call_sums."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from agent_ledger.cells import DAY, HOUR, Cell, Kind, Staged
from agent_ledger.grains import Sums

TOTALS: Final = ("calls", "failed_calls", "units", "cost_4096ths", "cost_picos")
TAKEN: Final = ("calls", "cost_4096ths", "cost_picos")  # of bills, by those that take a part
_WIDTH: Final = len(TOTALS) + len(TAKEN)
_PICOS: Final = 244140625  # a 4096th of a dollar
_KIND: Final = 7  # columns that tell the kinds of tool calls apart, as tool_place does; with the hour they lead to sums
_WHOLE: Final = 1  # small whole numbers of units, which are summed
_OTHER: Final = 2  # others, of which tool_place knows what their price makes
_READ: Final = f"""
  select agent_id, feature, server, tool, iif(reported_usd is null, unit, null),
    case
      when reported_usd is not null or unit is null or units is null then 0
      when units <= 1000000000 and units = cast(units as integer) then {_WHOLE}
      else {_OTHER}
    end,
    reported_usd is not null, substr(ts, 1, {HOUR}),
    id, ts, ifnull(customer_id, ''), ifnull(status = 'error', 0), cast(units as integer),
    cast(round(reported_usd * 1e12) as integer), call_id is null,
    (select sum(allocation.cost_picos) from allocation where allocation.audit_id = place.id)
  from tool_attribution as place
"""
_COUNTS: Final = "place.id not in (select id from superseded_tool_call)"


class Kinds:
    """The kinds of tool calls, each found out once: good for as long as no price and no assignment changes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kinds: dict[tuple[Any, ...], Kind] = {}

    def of(self, columns: tuple[Any, ...]) -> Kind:
        """The kind of a tool call: its agent, feature, server, tool, unit, shape, and whether it says what it cost."""
        found = self._kinds.get(columns)
        if found is None:
            rows = self._connection.execute(
                """
                select valid_from from agent_assignment where agent_id = ?
                union select effective_from from tool_price where tool = ?
                union select effective_to from tool_price where tool = ? and effective_to is not null
                """,
                [columns[0], columns[3], columns[3]],
            )
            found = self._kinds[columns] = Kind(moment for (moment,) in rows)
        return found


class ToolSums(Staged):
    """The sums of some tool calls, with what they take of the bills."""

    def __init__(self, connection: sqlite3.Connection, kinds: Kinds) -> None:
        super().__init__(connection)
        self._kinds = kinds
        self._of_kind_and_hour: dict[tuple[Any, ...], tuple[Sums, dict[str, Sums]]] = {}
        self.orphans: list[tuple[int]] = []  # audit.id of those whose LLM call is not in the ledger

    def read(self, condition: str, values: Sequence[object]) -> None:
        """Add the tool calls that count and for which `condition` on `place` holds, a row of tool_attribution."""
        rows = self._connection.execute(f"{_READ} where {condition} and {_COUNTS}", values)
        known = self._of_kind_and_hour
        apart: dict[int, tuple[Sums, Sums]] = {}
        for row in rows:
            hours, customers = known.get(row[: _KIND + 1]) or self._sums(row)
            call_id, _, customer, failed, units, picos, is_orphan, taken = row[8:]
            sums = customers.get(customer)
            if sums is None:
                sums = customers[customer] = [0] * _WIDTH
            if row[5] == _OTHER:
                apart[call_id] = (hours, sums)
            if is_orphan:
                self.orphans.append((call_id,))
            hours[0] += 1
            sums[0] += 1
            if failed:
                hours[1] += 1
                sums[1] += 1
            if row[5] == _WHOLE:
                hours[2] += units
                sums[2] += units
            if picos:
                for both in (hours, sums):
                    both[3] += picos // _PICOS
                    both[4] += picos % _PICOS
            if taken is not None:
                whole = abs(taken) // _PICOS * (1 if taken > 0 else -1)  # SQLite rounds towards zero
                for both in (hours, sums):
                    both[5] += 1
                    both[6] += whole
                    both[7] += taken - whole * _PICOS
        self._add_costs(apart)

    def _add_costs(self, apart: dict[int, tuple[Sums, Sums]]) -> None:
        """Add what prices make of the units of some calls, each by itself."""
        found = self._connection.execute(
            "select id, cost_4096ths, cost_picos from tool_place where id in (select value from json_each(?))",
            [json.dumps(list(apart))],
        )
        for call_id, whole, rest in found:
            for both in apart[call_id]:
                both[3] += whole
                both[4] += rest

    def _sums(self, row: tuple[Any, ...]) -> tuple[Sums, dict[str, Sums]]:
        """Those that the call is added to: of its hour, and of the customers of its day."""
        kind, hour = self._kinds.of(row[:_KIND]), row[_KIND]
        cell: Cell = kind.cell(row[9], 0, row[8])
        hours = self._hours.setdefault((cell, hour), [0] * _WIDTH)
        found = hours, self._customers.setdefault((cell, hour[:DAY]), {})
        if not kind.divides(hour):
            self._of_kind_and_hour[row[: _KIND + 1]] = found
        return found

    def place(self) -> list[int]:
        """Find the places of the calls. Returns examples of those for which tool_key lacks a combination: add it, and
        ask again."""
        return self._find_places(
            "select id, key_id, all_agents_id, price_cut, agent_cut from tool_place"
            " where id in (select value from json_each(?))"
        )
