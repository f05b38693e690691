"""The pages of a provider's usage or cost report: who used how much of what, in buckets of time.

A file holds one page as the API sent it, an array of pages, pages as JSON lines, or what was in them: the buckets.
All pages of one report belong in one import, or in one named delivery: a day that comes again replaces that day.

A report has one row per bucket and group, so a row is known by its bucket and its group: a page that is in a file twice
counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from agent_ledger.errors import ImportFailed, InvalidRecord
from agent_ledger.importers import cells, fields, objects
from agent_ledger.records import Charge, Fact, ProviderUsage, Refused

SUFFIXES = tuple(suffix for suffix in objects.SUFFIXES if "csv" not in suffix)

_DAY = timedelta(days=1)
_PAGED = ("data", "has_more", "next_page")


class ReportRow(NamedTuple):
    """One row of a report."""

    start: str
    end: str
    named: Mapping[str, Any]
    """What the row is grouped by and whatever else says what it is, without what is not said."""
    measured: Mapping[str, Any]
    """Its amounts."""

    def id(self) -> str:
        """An id that follows from the bucket and the group."""
        return fields.digest_id([self.start, self.end, self.named])

    def text(self, *names: str) -> str | None:
        """The first of these that the row names."""
        return next((found for name in names if (found := fields.text(self.named, name))), None)

    def number(self, name: str, *inside: str) -> int | None:
        """A measured number of things; None where the report does not count them. `inside`: the sections it is in."""
        section: Any = self.measured
        for part in inside:
            section = section.get(part) or {}
            if not isinstance(section, Mapping):
                raise InvalidRecord(part, section, "give an object")
        value = section.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            raise InvalidRecord(name, value, "give a whole number, 0 or more")
        return value


class Shape(NamedTuple):
    """What a kind of report looks like."""

    times: tuple[str, str]  # the names of the bucket's bounds
    measures: Callable[[str], bool]  # is the field of a row an amount?
    sections: tuple[str, ...] = ()  # the fields of a row that hold amounts
    refuses: Callable[[Mapping[str, Any]], str | None] = lambda _: None  # why this is another report


def facts(
    file: Path,
    advance: Callable[[int], None],
    shape: Shape,
    make: Callable[[ReportRow], Charge | ProviderUsage],
) -> Iterator[Fact]:
    """A fact per row. Raises ImportFailed where the file is another report."""
    missing: tuple[int | None, str] | None = None
    with closing(fields.Occurrences()) as seen:
        for item in objects.objects(file, advance):
            if isinstance(item, Refused):
                yield item
                continue
            line, where, record = item
            if not isinstance(record, dict):
                yield Refused(line, f"{where}a page is a JSON object.")
                continue
            for found in _entries(record):
                try:
                    yield from _of_entry(file, found, shape, make, seen, line, where)
                except InvalidRecord as error:
                    yield Refused(line, f"{where}{fields.sentence(error)}")
            if "data" in record:
                missing = (line, f"{where}page {record.get('next_page')}") if record.get("has_more") is True else None
    if missing:
        yield Refused(
            missing[0], f"{missing[1]} follows and is not in this file: import it too, or the days are short."
        )


def _entries(record: Mapping[str, Any]) -> list[Any]:
    """The buckets or rows of a page; a bucket that stands alone is one."""
    data = record.get("data", [record])
    return data if isinstance(data, list) else [data]


def _of_entry(
    file: Path,
    entry: Any,
    shape: Shape,
    make: Callable[[ReportRow], Charge | ProviderUsage],
    seen: fields.Occurrences,
    line: int | None,
    where: str,
) -> Iterator[Fact]:
    if not isinstance(entry, dict):
        raise InvalidRecord("data", entry, "a page has buckets, which are JSON objects")
    results = entry.get("results", [entry])
    if not isinstance(results, list):
        raise InvalidRecord("results", results, "give a list")
    for result in results:
        try:
            if not isinstance(result, dict):
                raise InvalidRecord("results", result, "give JSON objects")
            if reason := shape.refuses(result):
                raise ImportFailed(f"{file} {reason}")
            fact = make(_row(entry, result, shape))
            fact_id = fact.charge_id if isinstance(fact, Charge) else fact.usage_id
            again = seen.count(_key(fact_id)) > 1
            if again and seen.count(_key(f"{fact_id} {result}")) == 1:
                raise InvalidRecord("results", fact_id, "this bucket and group came before with other amounts")
            if not again:
                seen.count(_key(f"{fact_id} {result}"))
                yield fact
        except InvalidRecord as error:
            yield Refused(line, f"{where}{fields.sentence(error)}")


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _row(entry: Mapping[str, Any], result: Mapping[str, Any], shape: Shape) -> ReportRow:
    bounds = [cells.moment(name, result.get(name, entry.get(name))) for name in shape.times]
    start, end = bounds[0], cells.period(*bounds)
    if datetime.fromisoformat(end) - datetime.fromisoformat(start) > _DAY:
        raise InvalidRecord(shape.times[1], end, "buckets are up to a day long; ask for the report by day")
    measured: dict[str, Any] = {}
    named: dict[str, Any] = {}
    for name, value in result.items():
        if name in shape.sections and isinstance(value, dict):
            measured |= value
        elif shape.measures(name):
            measured[name] = value
        elif name == "group" and isinstance(value, dict):
            named |= {key: one for key, one in value.items() if one is not None}
        elif value is not None and name not in (*shape.times, *_PAGED):
            named[name] = value
    return ReportRow(start, end, named, measured)


def tags(row: ReportRow, *known: str) -> dict[str, str] | None:
    """What the row is grouped by, besides `known`."""
    return cells.tags("group", {name: value for name, value in row.named.items() if name not in known}) or None
