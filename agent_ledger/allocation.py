"""Which tool call takes which part of a bill: the derivation behind `allocation` and `allocation_rest`.

In this order: the line names the request; a rule of the user decides; the line's resource was touched by tool calls in
its period. A line that is metered in the calls' own units is taken by use (units x unit price, what nobody metered is
left over); every other line is split by weight. Parts are whole pico-dollars and add up exactly (largest remainder).
A tool call whose cost is known otherwise, reported or priced, takes no part.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

from agent_ledger import resources, tool_rollup
from agent_ledger.shares import SCALE, Line, Taken, ToolCall, Units, is_requests, metered, unclaimed, weighted

_CHUNK = 10_000
_RESTS: Final = {
    "tax": "tax or fee",
    "fee": "tax or fee",
    "purchase": "tax or fee",
    "credit": "credit",
    "refund": "credit",
}

# In the order in which lines ask for them, so that nothing has to be looked up. Only a rule, or a line that names its
# request, asks for calls that touched nothing billed.
_CALLS: Final = """
  create temp table billed_resource (name text primary key) without rowid;
  insert or ignore into temp.billed_resource
  select resource_name(resource_id) from billed_charge
  where kind = 'cloud' and cost_picos <> 0 and resource_id is not null;
  create temp table allocatable (
    name text not null, ts text not null, id integer not null, operation text, units real, unit text,
    duration_ms integer, service text, resource_id text, request_id text, tool text, server text,
    primary key (name, ts, id)
  ) without rowid;
  insert into temp.allocatable
  select
    coalesce(resource_name(resource_id), ''), ts, id, operation, units, unit, duration_ms,
    resource_service(resource_id), resource_id, request_id, tool, server
  from tool_cost
  where cost_source is null
    and (
      coalesce(resource_name(resource_id), '') in temp.billed_resource
      or exists (select 1 from allocation_rule)
      or exists (select 1 from billed_charge where kind = 'cloud' and cost_picos <> 0 and request_id is not null)
    )
  order by 1, 2, 3;
  drop table temp.billed_resource;
"""
_LINES: Final = """
  select
    id, cost_picos, period_start, period_end, provider, account, service, resource_id, operation, usage_type, quantity,
    unit, category, request_id
  from billed_charge
  where kind = 'cloud' and cost_picos <> 0
  order by resource_name(resource_id), period_start, id
"""
_RULES: Final = """
  select provider, account, service, resource_id, operation, usage_type, category,
    tool, server, tool_resource_id, tool_operation, method, weight, unit
  from allocation_rule as latest
  where id = (select max(id) from allocation_rule where name = latest.name)
  order by priority, id
"""
_COLUMNS: Final = "id, ts, operation, units, unit, duration_ms, service"
_ALLOCATION: Final = "insert into allocation (charge_id, audit_id, method, weight, cost_picos) values (?, ?, ?, ?, ?)"
_REST: Final = "insert into allocation_rest (charge_id, cost_picos, reason) values (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of `allocation_rule`."""

    provider: str | None
    account: str | None
    service: str | None
    resource_id: str | None
    operation: str | None
    usage_type: str | None
    category: str | None
    tool: str | None
    server: str | None
    tool_resource_id: str | None
    tool_operation: str | None
    method: str
    weight: str
    unit: str | None

    def matches(self, line: Line) -> bool:
        """Is the rule about this line?"""
        return all(
            pattern is None or fnmatchcase(getattr(line, name) or "", pattern)
            for name in ("provider", "account", "service", "resource_id", "operation", "usage_type", "category")
            if (pattern := getattr(self, name)) is not None
        )

    @property
    def asks_for_the_resource(self) -> bool:
        """Are the tool calls those that touched the line's own resource?"""
        return self.tool is None and self.server is None and self.tool_resource_id is None


class _OfResource:
    """The tool calls that touched one resource, in order of time: only as many as the present line needs are held."""

    def __init__(self, calls: Iterator[ToolCall]) -> None:
        self._rest = calls
        self._next = next(calls, None)
        self.any: Final = self._next is not None
        self._calls: list[ToolCall] = []
        self._times: list[str] = []

    def between(self, start: str, end: str) -> list[ToolCall]:
        """Those of a period. Periods come by their start, none before the one before."""
        first = bisect_left(self._times, start)
        if first > len(self._times) // 2:
            del self._calls[:first], self._times[:first]
            first = 0
        while self._next is not None and self._next.ts < end:
            if self._next.ts >= start:
                self._calls.append(self._next)
                self._times.append(self._next.ts)
            self._next = next(self._rest, None)
        return self._calls[first : bisect_left(self._times, end)]


class _Finder:
    """The tool calls that may take part, as they are asked for line after line of one resource."""

    def __init__(self, connection: sqlite3.Connection, units: Units, rules: Sequence[Rule]) -> None:
        self._connection = connection
        self._units = units
        self._rules = rules
        self._name: str | None = None
        self._touching = _OfResource(iter(()))
        self._last: tuple[tuple[Any, ...], list[ToolCall]] = ((), [])
        if rules:
            connection.execute("create index temp.allocatable_ts on allocatable (ts)")

    def rule(self, line: Line) -> Rule | None:
        """The rule that decides about the line."""
        return next((rule for rule in self._rules if rule.matches(line)), None)

    def of_request(self, request_id: str) -> list[ToolCall]:
        self._connection.execute("create index if not exists temp.allocatable_request on allocatable (request_id)")
        return list(self._read("request_id = ? order by ts, id", [request_id]))

    def touched(self, line: Line) -> bool:
        """Has any call touched the line's resource, at whatever time?"""
        name = resources.resource(line.resource_id or "").name
        if name != self._name:
            self._name = name
            self._touching = _OfResource(self._read("name = ? order by ts, id", [name]))
        return self._touching.any

    def of_resource(self, line: Line) -> list[ToolCall]:
        """Those that touched the line's resource in its period."""
        if not self.touched(line):
            return []
        calls = self._touching.between(line.start, line.end)
        # A bill may put a resource of one service under another: a snapshot of EC2 under S3.
        services = {resources.service(line.service), resources.resource(line.resource_id or "").service}
        if services == {None}:
            return calls
        return [call for call in calls if call.service is None or call.service in services]

    def alike(self, line: Line, calls: list[ToolCall]) -> list[ToolCall]:
        """Those that did what the line says. Where none did: all, because lines have other words for what is not a
        request (StandardStorage, CreateDBInstance); a line that counts requests has nothing to do with them."""
        if line.operation is None:
            return calls
        wanted = resources.operation(line.operation)
        same = [call for call in calls if call.operation and resources.operation(call.operation) == wanted]
        if same or not is_requests(line, self._units):
            return same or calls
        return [call for call in calls if call.operation is None]

    def of_rule(self, rule: Rule, line: Line) -> list[ToolCall]:
        if rule.asks_for_the_resource:
            calls = self.of_resource(line)
            if rule.tool_operation is None:
                calls = self.alike(line, calls)
            else:
                calls = [call for call in calls if fnmatchcase(call.operation or "", rule.tool_operation)]
        else:
            calls = self._matching(rule, line)
        if rule.unit is None:
            return calls
        return [call for call in calls if (call.unit or "").lower() == rule.unit.lower()]

    def _matching(self, rule: Rule, line: Line) -> list[ToolCall]:
        given = {
            "tool": rule.tool,
            "server": rule.server,
            "resource_id": rule.tool_resource_id,
            "operation": rule.tool_operation,
        }
        patterns = {name: pattern for name, pattern in given.items() if pattern is not None}
        key = (line.start, line.end, *patterns.items())
        if key != self._last[0]:  # lines come by resource and time: the last period is the one that comes again
            condition = " and ".join(["ts >= ?", "ts < ?", *(f"coalesce({name}, '') glob ?" for name in patterns)])
            found = list(self._read(f"{condition} order by ts, id", [line.start, line.end, *patterns.values()]))
            self._last = (key, found)
        return self._last[1]

    def _read(self, condition: str, values: Sequence[object]) -> Iterator[ToolCall]:
        found = self._connection.execute(f"select {_COLUMNS} from temp.allocatable where {condition}", values)
        return map(ToolCall._make, found)


def allocate(connection: sqlite3.Connection) -> None:
    """Make `allocation` and `allocation_rest` anew. The caller holds the write transaction."""
    connection.execute("delete from allocation")
    connection.execute("delete from allocation_rest")
    if connection.execute("select exists (select 1 from charge where kind = 'cloud')").fetchone()[0]:
        _divide(connection)
    remember(connection)
    tool_rollup.mend(connection, reallocated=True)


def _divide(connection: sqlite3.Connection) -> None:
    _add_function(connection, "resource_name", lambda text: resources.resource(text).name)
    _add_function(connection, "resource_service", lambda text: resources.resource(text).service)
    for table in ("allocatable", "billed_resource"):
        connection.execute(f"drop table if exists temp.{table}")
    [(cache,)] = connection.execute("pragma temp.cache_size").fetchall()
    connection.execute("pragma temp.cache_size = -65536")  # 64 MB at most, as for the file; more is on disk
    for statement in _CALLS.split(";")[:-1]:
        connection.execute(statement)
    units: Units = {
        name.lower(): (base, factor) for name, base, factor in connection.execute("select name, base, factor from unit")
    }
    finder = _Finder(connection, units, [Rule(*row) for row in connection.execute(_RULES)])
    lines = map(Line._make, connection.execute(_LINES))
    while chunk := list(islice(lines, _CHUNK)):
        taken = [(line, _take(line, finder, units)) for line in chunk]
        connection.executemany(_ALLOCATION, _rows(taken))
        connection.executemany(_REST, ((line.id, it.rest, it.reason) for line, it in taken if it.rest))
    del finder  # its cursor holds the table
    connection.execute("drop table temp.allocatable")
    connection.execute(f"pragma temp.cache_size = {cache}")


def _add_function(connection: sqlite3.Connection, name: str, function: Callable[[str], str | None]) -> None:
    connection.create_function(name, 1, lambda text: text and function(text), deterministic=True)


def _take(line: Line, finder: _Finder, units: Units) -> Taken:
    if line.request_id is not None and (calls := finder.of_request(line.request_id)):
        return weighted(line, calls, None)._replace(method="request")
    rule = finder.rule(line)
    if rule is None and line.category in _RESTS:
        return unclaimed(line, _RESTS[line.category])
    if rule is not None and rule.method == "none":
        return unclaimed(line, "by rule")
    if line.resource_id is None and (rule is None or rule.asks_for_the_resource):
        return unclaimed(line, "no resource")
    calls = finder.of_rule(rule, line) if rule else finder.alike(line, finder.of_resource(line))
    if not calls:
        of_others = rule is not None and not rule.asks_for_the_resource
        return unclaimed(line, "no tool call then" if of_others or finder.touched(line) else "no tool call")
    if rule is None:
        return metered(line, calls, units) or weighted(line, calls, None)
    if rule.method == "metered":
        return metered(line, calls, units) or unclaimed(line, "not all metered")
    return weighted(line, calls, rule.weight)


def _rows(taken: Sequence[tuple[Line, Taken]]) -> Iterator[tuple[int, int, str, float, int]]:
    for line, it in taken:
        for call, weight, part in zip(it.calls, it.weights, it.parts, strict=True):
            yield line.id, call.id, it.method, weight / SCALE, part


def remember(connection: sqlite3.Connection) -> None:
    """Note what the allocation was made of, so that `agent-ledger check` can tell when it is no longer so."""
    connection.execute(
        "insert or replace into ledger_meta (key, value) select 'allocated', state from allocation_state"
    )
    connection.execute(  # tells a sink that there is another one
        "insert into ledger_meta (key, value) values ('allocations', '1')"
        " on conflict (key) do update set value = cast(value + 1 as text)"
    )
