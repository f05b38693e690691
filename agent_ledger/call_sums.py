"""Summing calls by place, in one pass over the rows: only what is new about their place is asked of usage_place.

Calls that agree in all that usage_place looks at, and between whose times nothing changes, share a place: that of one
of them. Python adds them up in a third of the time that SQLite takes to sort or to look up each of them.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from agent_ledger.cells import DAY, HOUR, Cell, Kind, Staged
from agent_ledger.grains import Group, Sums

TOTALS: Final = (
    *("calls", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cache_write_1h_tokens", "reasoning_tokens", "web_search_requests", "reported_4096ths", "reported_picos"),
)
NOBODY: Final = "(unattributed)"
_FIRST, _LAST = len(TOTALS), len(TOTALS) + 1  # where sums by hour have the times of their first and last call
_NO_BAND: Final = 2**63 - 1
_PICOS: Final = 244140625  # a 4096th of a dollar

# What of a call decides its place, besides its time; 0 in most calls. The first parameter is where the first band ends.
_SHAPE: Final = """
  case
    when prompt_tokens > 0 and prompt_tokens < ?1 and completion_tokens > 0 and tier_tokens is null and usage is null
      and anomaly is null and ifnull(web_search_requests, 0) = 0 and ifnull(reported_cost_usd, 0) = 0 then 0
    else 1
      + 2 * (coalesce(tier_tokens, prompt_tokens, 0) >= ?1)
      + 4 * ifnull(prompt_tokens > 0, 2)
      + 16 * ifnull(completion_tokens > 0, 2)
      + 64 * ifnull(tier_tokens <> prompt_tokens, 0)
      + 128 * (usage is not null)
      + 256 * (anomaly is not null)
      + 512 * ifnull(web_search_requests > 0, 0)
      + 1024 * ifnull(reported_cost_usd > 0, 0)
  end
"""
_LARGE: Final = 2
_COLUMNS: Final = (
    *("agent_id", "model", "ifnull(provider, '')", "ifnull(service_tier, '')", "ifnull(region, '')"),
    *("ifnull(feature, '')", _SHAPE, f"substr(ts, 1, {HOUR})"),
)
_SEPARATOR: Final = "\x1f"
# One text instead of its eight columns, which take Python twice as long to read and to look up.
_READ: Final = f"""
  select {" || char(31) || ".join(_COLUMNS)},
    ts, ifnull(customer_id, '{NOBODY}'), prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, reasoning_tokens, web_search_requests, usage,
    iif(reported_cost_usd > 0, cast(round(reported_cost_usd * 1e12) as integer), 0), tier_tokens, id
  from ledger as place
"""
_COUNTS: Final = "not exists (select 1 from superseded_call where superseded_call.id = place.id)"


class Kinds:
    """The kinds of calls, each found out once: good for as long as no price and no assignment changes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kinds: dict[tuple[str, ...], Kind] = {}
        self._of_agents: dict[str, list[str]] = {}
        self._of_prices: dict[tuple[str, ...], tuple[set[str], set[str], set[int]]] = {}
        least = connection.execute("select min(min_tokens) from rate where min_tokens > 0").fetchone()[0]
        self.first_band: int = _NO_BAND if least is None else least

    def of(self, columns: tuple[str, ...]) -> Kind:
        """The kind of a call: its agent, model, provider, tier, region, feature and shape; '' where it has none."""
        found = self._kinds.get(columns)
        if found is None:
            moments, times, bands = self._price(columns[1:5])
            found = Kind(moments.union(self._assigned(columns[0])), times, bands)
            self._kinds[columns] = found
        return found

    def _assigned(self, agent_id: str) -> list[str]:
        if (found := self._of_agents.get(agent_id)) is None:
            rows = self._connection.execute("select valid_from from agent_assignment where agent_id = ?", [agent_id])
            found = self._of_agents[agent_id] = [moment for (moment,) in rows]
        return found

    def _price(self, key: tuple[str, ...]) -> tuple[set[str], set[str], set[int]]:
        if (found := self._of_prices.get(key)) is None:
            rows = self._connection.execute(
                "select valid_from, valid_to, time_from, time_to, min_tokens, max_tokens from rate"
                " where model = ? and provider = ? and service_tier = ? and region = ?",
                key,
            ).fetchall()
            found = self._of_prices[key] = (
                {moment for row in rows for moment in row[:2]},
                {time for row in rows for time in row[2:4]} - {"00:00", "24:00"},
                {limit for row in rows for limit in row[4:6]} - {0, _NO_BAND},
            )
        return found


class CallSums(Staged):
    """The sums of some calls; by hour with the times of the first and the last."""

    def __init__(self, connection: sqlite3.Connection, kinds: Kinds) -> None:
        super().__init__(connection)
        self._kinds = kinds
        self._of_key: dict[str, tuple[Sums, dict[str, Sums]]] = {}
        self._units: dict[tuple[Cell, str, str, str], Sums] = {}  # by hour and customer
        self._read_units: dict[str, list[tuple[str, int]] | None] = {}
        self.loose: list[tuple[int]] = []  # ledger.id of those that can't be added up with others, see usage_loose

    def read(self, condition: str, values: Sequence[object]) -> None:
        """Add the calls that count and for which `condition` on the ledger's row `place` holds."""
        rows = self._connection.execute(f"{_READ} where {condition} and {_COUNTS}", [self._kinds.first_band, *values])
        known = self._of_key
        for row in rows:
            key, ts, customer, prompt, completion, read, write, hour_write, reasoning, searches, usage, picos, *_ = row
            if usage is not None and not self._add_units(row):
                continue
            hours, customers = known.get(key) or self._sums(row)
            sums = customers.get(customer)
            if sums is None:
                sums = customers[customer] = [0] * len(TOTALS)
            hours[0] += 1
            sums[0] += 1
            if prompt:
                hours[1] += prompt
                sums[1] += prompt
            if completion:
                hours[2] += completion
                sums[2] += completion
            if read:
                hours[3] += read
                sums[3] += read
            if write:
                hours[4] += write
                sums[4] += write
                if hour_write:
                    hours[5] += hour_write
                    sums[5] += hour_write
            if reasoning:
                hours[6] += reasoning
                sums[6] += reasoning
            if searches:
                hours[7] += searches
                sums[7] += searches
            if picos:
                for both in (hours, sums):
                    both[8] += picos // _PICOS
                    both[9] += picos % _PICOS
            if ts < hours[_FIRST]:
                hours[_FIRST] = ts
            elif ts > hours[_LAST]:
                hours[_LAST] = ts

    def _cell(self, row: tuple[Any, ...]) -> tuple[Cell, str, bool]:
        """The cell of a call, its hour, and whether the cell is that of all calls of its key."""
        key, ts, _, prompt, *_, tier, call_id = row
        columns, is_plain = tuple(key.split(_SEPARATOR)), True
        if len(columns) != len(_COLUMNS):  # a name has the separator in it, so that another key may read the same
            columns, is_plain = self._columns(call_id), False
        *kind_columns, shape, hour = columns
        kind = self._kinds.of((*kind_columns, shape))
        if kind.divides(hour, large=bool(int(shape) & _LARGE)):
            return kind.cell(ts, (prompt or 0) if tier is None else tier, call_id), hour, False
        return kind.cell(ts, 0, call_id), hour, is_plain

    def _columns(self, call_id: int) -> tuple[str, ...]:
        found = self._connection.execute(
            f"select {', '.join(_COLUMNS)} from ledger where id = ?2", [self._kinds.first_band, call_id]
        ).fetchone()
        return tuple(map(str, found))

    def _sums(self, row: tuple[Any, ...]) -> tuple[Sums, dict[str, Sums]]:
        """Those that the call is added to: of its hour, and of the customers of its day."""
        cell, hour, of_all = self._cell(row)
        hours = self._hours.get((cell, hour))
        if hours is None:
            hours = self._hours[cell, hour] = [*[0] * len(TOTALS), row[1], row[1]]
        found = hours, self._customers.setdefault((cell, hour[:DAY]), {})
        if of_all:
            self._of_key[row[0]] = found
        return found

    def _add_units(self, row: tuple[Any, ...]) -> bool:
        """Add the other billed units of a call. Returns False where it is loose."""
        units = self._units_of(row[10])
        if units is None:
            self.loose.append((row[-1],))
            return False
        if units:
            cell, hour, _ = self._cell(row)
            for unit, quantity in units:
                self._units.setdefault((cell, hour, row[2], unit), [0])[0] += quantity
        return True

    def _units_of(self, usage: str) -> list[tuple[str, int]] | None:
        if usage not in self._read_units:
            found = self._connection.execute("select key, value, type from json_each(?)", [usage]).fetchall()
            small = all(kind == "integer" and 0 <= value <= 1_000_000 for _, value, kind in found)
            self._read_units[usage] = [(key, value) for key, value, _ in found if value] if small else None
        return self._read_units[usage]

    def place(self) -> list[int]:
        """Find the places of the calls. Returns examples of those for which usage_key lacks a combination: add it, and
        ask again."""
        return self._find_places(
            "select id, key_id, all_agents_id, rate_cut, agent_cut from usage_place"
            " where id in (select value from json_each(?))"
        )

    def hour_units(self) -> Iterator[Group]:
        """Other billed units, by place, hour and unit."""
        return (
            Group(cell.known_place(), hour, (unit,), {"": sums}) for (cell, hour, _, unit), sums in self._units.items()
        )

    def customer_units(self) -> Iterator[Group]:
        """Other billed units, by place, day, customer and unit."""
        for (cell, hour, customer, unit), sums in self._units.items():
            yield Group(cell.known_place(), hour[:DAY], (unit,), {customer: sums})


def adding(sums: Sums, more: Sums) -> None:
    """Add sums of calls. Where both have the times of their first and last calls, they may be unknown."""
    times = sums[_FIRST:] and [
        None if None in pair else extreme(pair)
        for extreme, *pair in zip((min, max), sums[_FIRST:], more[_FIRST:], strict=True)
    ]
    sums[:] = [*map(operator.add, sums[:_FIRST], more), *times]
