"""The grains of the rollups: how sums by hour, and by day and customer, become those of every coarser grain."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

START: Final = "0000-01-01T00:00:00.000Z"  # what completes the name of a bucket to its first moment
MONTHS: Final = {"day": "month", "customer_day": "customer_month"}  # which follow from days
BY_AGENT: Final = ("agent_customer", "hour", "day", "month")
ALL: Final = (*BY_AGENT, "customer_day", "customer_month")
_KEY: Final = ("grain", "key_id", "bucket", "cut")  # and what completes it
_DIGITS: Final = {"day": 10, "month": 7, "customer_day": 10, "customer_month": 7}  # of a timestamp that name the bucket

Sums = list[Any]
Adding = Callable[[Sums, Sums], None]


class Place(NamedTuple):
    """Where in the rollups a call belongs, but for its time and customer: see usage_place and tool_place."""

    key_id: int
    all_agents_id: int
    price_cut: str  # since when the price holds; '': since before the month
    agent_cut: str  # since when the assignment holds; '': since before the month

    def together(self) -> Place:
        """The same for all agents together."""
        return Place(self.all_agents_id, self.all_agents_id, self.price_cut, "")

    def cut(self, bucket: str) -> str:
        """Since when both hold, where that is within the bucket; else ''."""
        since = max(self.price_cut, self.agent_cut)
        return since if since > bucket + START[len(bucket) :] else ""


class Group(NamedTuple):
    """Sums of some calls of one place and bucket of time, by customer."""

    place: Place
    bucket: str
    unit: tuple[str, ...]  # of other billed units; (): of calls
    customers: dict[str, Sums]  # '': all together


def add(sums: Sums, more: Sums) -> None:
    """Add `more` to `sums`, number by number."""
    sums[:] = map(operator.add, sums, more)


def coarser(groups: Iterable[Group], grain: str, adding: Adding = add) -> list[Group]:
    """The groups of a finer grain as those of `grain`."""
    digits, together = _DIGITS[grain], grain not in BY_AGENT
    found: dict[tuple[Place, str, tuple[str, ...]], dict[str, Sums]] = {}
    for group in groups:
        place = group.place.together() if together else group.place
        _take_in(found.setdefault((place, group.bucket[:digits], group.unit), {}), group.customers, adding)
    return [Group(*key, customers) for key, customers in found.items()]


def _take_in(customers: dict[str, Sums], more: dict[str, Sums], adding: Adding) -> None:
    for customer, sums in more.items():
        if (same := customers.get(customer)) is None:
            customers[customer] = sums.copy()
        else:
            adding(same, sums)


def spread(
    hours: Iterable[Group], customers: Iterable[Group], grains: Collection[str], adding: Adding = add
) -> Iterator[tuple[str, list[Group]]]:
    """Every grain of `grains` from sums by hour, and by day and customer, of each agent."""
    by_hour, by_customer = list(hours), list(customers)
    days, customer_days = coarser(by_hour, "day", adding), coarser(by_customer, "customer_day", adding)
    found = {"agent_customer": by_customer, "customer_day": customer_days, "day": days, "hour": by_hour}
    for grain, groups in found.items():
        if grain in grains:
            yield grain, groups
        if MONTHS.get(grain) in grains:
            yield MONTHS[grain], coarser(groups, MONTHS[grain], adding)


def rows(spread_out: Iterable[tuple[str, list[Group]]], width: int, adding: Adding = add) -> list[tuple[Any, ...]]:
    """Rows of a rollup: grain, key_id, bucket, cut, customer_id, the unit if any, the sums; NULL where `width` is more.

    In order of their keys, so that what stands together is written together.
    """
    found: list[tuple[Any, ...]] = []
    for grain, groups in spread_out:
        places: dict[tuple[int, str, str, tuple[str, ...]], list[dict[str, Sums]]] = {}
        for place, bucket, unit, customers in groups:
            places.setdefault((place.key_id, bucket, place.cut(bucket), unit), []).append(customers)
        for key_id, bucket, cut, unit in sorted(places):
            together, *others = places[key_id, bucket, cut, unit]
            for more in others:
                together = {customer: sums.copy() for customer, sums in together.items()}
                _take_in(together, more, adding)
            rest = (None,) * (width - len(next(iter(together.values()))))
            found += [
                (grain, key_id, bucket, cut, customer, *unit, *together[customer], *rest)
                for customer in sorted(together)
            ]
    return found


class Table(NamedTuple):
    """A rollup's table: the columns that complete its key, and its sums. `unlike`: how a column is no plain sum."""

    name: str
    rest: tuple[str, ...]
    sums: tuple[str, ...]
    unlike: Mapping[str, str]

    def put(self, connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Put rows into a temporary table, so that `merge` takes half the time: it is what others wait for."""
        columns = (*_KEY, *self.rest, *self.sums)
        connection.execute(f"create temp table if not exists new_{self.name} ({', '.join(columns)})")
        connection.execute("savepoint put")  # one transaction of the temporary file, not one per row
        try:
            connection.execute(f"delete from temp.new_{self.name}")
            connection.executemany(f"insert into temp.new_{self.name} values ({', '.join('?' * len(columns))})", rows)
        finally:
            connection.execute("release put")

    def merge(self, connection: sqlite3.Connection) -> None:
        """Add what was put."""
        key = (*_KEY, *self.rest)
        added = ", ".join(
            f"{column} = {self.unlike.get(column, f'{column} + excluded.{column}')}" for column in self.sums
        )
        connection.execute(
            f"insert into {self.name} ({', '.join((*key, *self.sums))}) select * from temp.new_{self.name} where true"
            f" on conflict ({', '.join(key)}) do update set {added}"
        )
