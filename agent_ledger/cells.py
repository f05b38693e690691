"""Cells: calls that agree in all that decides their place in the rollups, and between whose times nothing changes.

The place of a cell is that of any of its calls, so that the views which define places (usage_place, tool_place) are
asked once per cell instead of once per call.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from agent_ledger.grains import START, Group, Place, Sums

HOUR: Final = len("YYYY-MM-DDTHH")
DAY: Final = len("YYYY-MM-DD")
_MONTH: Final = len("YYYY-MM")


class Cell:
    """Calls of one place: the id of one of them, and the place as soon as it is known."""

    __slots__ = ("call_id", "place")

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.place: Place | None = None

    def known_place(self) -> Place:
        assert self.place, "ask for places first"
        return self.place


class Kind:
    """Calls of one agent, price, feature and so on: when what they cost, or whose they are, may change.

    `moments`, `times` of the day (HH:MM) and numbers of input tokens (`bands`) at which something may change.
    """

    __slots__ = ("_bands", "_cells", "_moments", "_times")

    def __init__(self, moments: Iterable[str], times: Iterable[str] = (), bands: Iterable[int] = ()) -> None:
        self._moments = sorted(moments)
        self._times = sorted(times)
        self._bands = sorted(bands)
        self._cells: dict[tuple[str, int, int, int], Cell] = {}

    def divides(self, hour: str, *, large: bool = False) -> bool:
        """Do the calls of an hour have to be looked at one by one? `large`: they may be beyond the first band."""
        if large and self._bands:
            return True
        index = bisect_right(self._moments, hour + START[HOUR:])
        return (index < len(self._moments) and self._moments[index] < hour + ";") or any(
            time[:2] == hour[DAY + 1 :] and time[2:] != ":00" for time in self._times
        )

    def cell(self, ts: str, tokens: int, call_id: int) -> Cell:
        """The cell of a call, which is its example where the cell is new."""
        key = (
            *(ts[:_MONTH], bisect_right(self._moments, ts)),
            *(bisect_right(self._times, ts[DAY + 1 : DAY + 6]), bisect_right(self._bands, tokens)),
        )
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = Cell(call_id)
        return found


class Staged:
    """Sums of calls by cell and hour, and by cell, day and customer. Nothing is written to the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hours: dict[tuple[Cell, str], Sums] = {}
        self._customers: dict[tuple[Cell, str], dict[str, Sums]] = {}

    def _find_places(self, sql: str) -> list[int]:
        """Find the places of new cells. `sql` yields the id, key_id, all_agents_id and cuts of the calls in the JSON
        array `?`. Returns the ids of those that have no key yet."""
        cells = {cell.call_id: cell for cell, _ in self._hours if cell.place is None}
        missing = []
        for call_id, key_id, *place in self._connection.execute(sql, [json.dumps(list(cells))]).fetchall():
            if key_id is None:
                missing.append(call_id)
            else:
                cells[call_id].place = Place(key_id, *place)
        return missing

    def hours(self) -> Iterator[Group]:
        """By place and hour."""
        return (Group(cell.known_place(), hour, (), {"": sums}) for (cell, hour), sums in self._hours.items())

    def customers(self) -> Iterator[Group]:
        """By place, day and customer."""
        return (Group(cell.known_place(), day, (), found) for (cell, day), found in self._customers.items())
