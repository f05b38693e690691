"""The rows to add up for any period: rollups for its whole months, days and hours, and single facts for the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent_ledger import archive_reading, periods
from agent_ledger.selecting import Selects

_AXES: Final = ("bucket", "agent_id", "team", "feature", "customer_id")


@dataclass(frozen=True, slots=True)
class Source:
    """What can be added up. Its views have the same columns, among them `bucket`."""

    view: str  # rollups by grain, and under the grain call each fact that came after them
    facts: str  # each fact
    columns: tuple[str, ...]
    grains: Mapping[int, str]  # by the digits of periods; all customers together
    customer_grains: Mapping[int, str]
    loose: str  # those that the view has under the grain call though they came before
    chunks: str  # the times that stretches of the facts cover
    reached: str  # the column of view compacted that says how far rollups reach


CALLS: Final = Source(
    view="usage_cost",
    facts="call_part",
    columns=(
        *(*_AXES, "model"),
        *("calls", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("cost_4096ths", "cost_picos"),
    ),
    grains={periods.MONTH: "month", periods.DAY: "day", periods.HOUR: "hour"},
    customer_grains={periods.MONTH: "customer_month", periods.DAY: "customer_day"},
    loose="usage_loose",
    chunks="rollup_chunk",
    reached="ledger_row",
)
TOOL_CALLS: Final = Source(
    view="tool_usage_cost",
    facts="tool_part",
    columns=(
        *(*_AXES, "server", "tool"),
        *("calls", "failed_calls", "uncosted_calls", "cost_4096ths", "cost_picos"),
    ),
    grains={periods.MONTH: "month", periods.DAY: "day", periods.HOUR: "hour"},
    customer_grains={periods.MONTH: "customer_month", periods.DAY: "customer_day"},
    loose="tool_loose",
    chunks="tool_chunk",
    reached="audit_row",
)


def all_in_rows(
    connection: Selects,
    since: str | None,
    until: str | None,
    *,
    by_customer: bool = False,
    largest: int = periods.MONTH,
) -> str:
    """`rows` of LLM calls, tool calls and what no call claimed of the bills, in the columns of all_in_part."""
    axes = ", ".join(_AXES)
    calls, tool_calls = (
        rows(connection, source, since, until, by_customer=by_customer, largest=largest)
        for source in (CALLS, TOOL_CALLS)
    )
    unallocated = ", ".join(["'(unallocated)'"] * (len(_AXES) - 1))
    return f"""
      select {axes}, calls, 0 as tool_calls, cost_4096ths as llm_4096ths, cost_picos as llm_picos,
        null as tool_4096ths, null as tool_picos, iif(cost_picos is null, calls, 0) as unpriced_calls,
        0 as uncosted_calls
      from ({calls})
      union all
      select {axes}, 0, calls, null, null, cost_4096ths, cost_picos, 0, uncosted_calls from ({tool_calls})
      union all
      select period_start, {unallocated}, 0, 0, null, null, 0, cost_picos, 0, 0
      from unallocated_charge
      where cost_picos is not null{_between(since or "", until or "~").replace("bucket", "period_start")}
    """


def rows(
    connection: Selects,
    source: Source,
    since: str | None,
    until: str | None,
    *,
    by_customer: bool = False,
    largest: int = periods.MONTH,
) -> str:
    """A SELECT of the rows that make up the period from `since` on and before `until`, each fact once.

    `largest`: one of `periods`; no row is for more than that.
    """
    grains = source.customer_grains if by_customer else source.grains
    sizes = [digits for digits in grains if digits >= largest]
    return " union all ".join(_selects(connection, source, since, until, {size: grains[size] for size in sizes}))


def _selects(
    connection: Selects, source: Source, since: str | None, until: str | None, grains: Mapping[int, str]
) -> Iterator[str]:
    columns = ", ".join(source.columns)
    yield f"select {columns} from {source.view} where grain = 'call'{_between(since or '', until or '~')}"
    for piece in periods.cover(since, until, list(grains)):
        if piece.digits in grains:
            grain = grains[piece.digits]
            yield f"select {columns} from {source.view} where grain = '{grain}'{_between(piece.first, piece.end)}"
        elif ids := _stretches(connection, source, piece):
            yield (
                f"select {columns} from {source.facts} where ({ids}){_between(piece.first, piece.end)}"
                f" and id not in (select id from {source.loose})"
            )


def _between(first: str, end: str) -> str:
    """Timestamps and names of buckets are made of digits and letters, and need no escaping."""
    return (f" and bucket >= '{first}'" if first else "") + (f" and bucket < '{end}'" if end != "~" else "")


def _stretches(connection: Selects, source: Source, piece: periods.Piece) -> str:
    """Where facts of a period stand that rollups hold, as a condition on their ids; "": there are none."""
    if isinstance(connection, sqlite3.Connection):  # only a file has an archive
        archive_reading.recall(connection, piece.first, piece.end)
    (reached,) = connection.execute(f"select {source.reached} from compacted").fetchone()
    found = connection.execute(
        f"select first_id, min(last_id, ?) from {source.chunks} where first_id <= ? and first_ts < ? and last_ts >= ?",
        [reached, reached, piece.end, piece.first],
    )
    return " or ".join(f"id between {first} and {last}" for first, last in found)
