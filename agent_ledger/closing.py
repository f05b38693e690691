"""Closing a month: what was reported for it is written down and stays, whatever is recorded later.

The figures are those of the view `monthly_figure`, in `closed_figure`; the view `restatement` compares the two. Months
are UTC months.

The digest is SHA-256 over lines of JSON without spaces, in UTF-8, each ended by a newline: first the month, the moment
of the close and how far each table reached, then the figures in the order of axis and key, with the columns `FIGURES`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_ledger import allocation, clock, reporting
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Row

FIGURES: Final = (
    *("axis", "key"),
    *("calls", "prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens"),
    *("llm_4096ths", "llm_picos", "unpriced_calls", "tool_calls", "tool_4096ths", "tool_picos", "uncosted_calls"),
)
"""The columns of `closed_figure` behind close_id, and of `monthly_figure` behind month."""

_NOTHING: Final = (
    "total",
    "",
    0,
    None,
    None,
    None,
    None,
    None,
    None,
    0,
    0,
    None,
    None,
    0,
)  # the total of a month without calls
_WATCHED: Final = (
    *("ledger", "audit", "delivery", "charge", "price_revision", "tool_price", "exchange_rate"),
    *("agent_assignment", "allocation_rule"),
)
_PICOS_PER_4096TH: Final = 244_140_625
_REACHED: Final = tuple(f"{table}_row" for table in _WATCHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A month that was closed. `warnings` are sentences: what is missing from its figures.

    Dollars are the nearest doubles of the exact sums; `all_in_usd` is LLM calls, tool calls and unallocated charges.
    None: no cost is known.
    """

    month: str
    closed_at: str
    digest: str
    figures: int
    llm_usd: float | None
    tool_usd: float | None
    all_in_usd: float | None
    warnings: tuple[str, ...]


def close(
    connection: sqlite3.Connection,
    month: str,
    *,
    reason: str | None = None,
    closed_by: str | None = None,
    moment: str | None = None,
) -> Closed:
    """Close `month` (YYYY-MM) at `moment`, a ledger timestamp (None: now). The caller holds the write transaction.

    Where the allocation of bills is older than what it is made of, it is made anew first. Raises InvalidRecord for what
    is no month, and LedgerError where it is not over yet, or closed already.
    """
    month, starts, ends = _bounds(month)
    moment = moment or clock.now()
    if ends > moment:
        raise LedgerError(f"{month} is not over yet: close it from {ends[:10]} on (UTC)")
    if held := _held(connection, month):
        raise LedgerError(f"{month} was closed at {held[1]}: open it again first, with --reopen and a reason")
    _bring_allocation_up_to_date(connection)
    figures = _read(connection, "monthly_figure", "month = ?", month)
    if not any(row[:2] == ("total", "") for row in figures):
        figures.append(_NOTHING)
    reached = [connection.execute(f"select coalesce(max(id), 0) from {table}").fetchone()[0] for table in _WATCHED]
    digest = _digest((month, moment, *reached), figures)
    (close_id,) = connection.execute("select coalesce(max(id), 0) + 1 from period_close").fetchone()
    connection.executemany(
        f"insert into closed_figure (close_id, {', '.join(FIGURES)}) values (?{', ?' * len(FIGURES)})",
        [(close_id, *row) for row in figures],
    )
    _record(  # last: from now on its figures are sealed
        connection,
        dict(zip(_REACHED, reached, strict=True))
        | {"id": close_id, "month": month, "event": "close", "recorded_at": moment, "digest": digest}
        | {"reason": reason, "recorded_by": closed_by},
    )
    (total,) = closed_rows(connection, month, "month", all_in=True)
    return Closed(
        month=month,
        closed_at=moment,
        digest=digest,
        figures=len(figures),
        llm_usd=total["llm_usd"],
        tool_usd=total["tool_usd"],
        all_in_usd=total["all_in_usd"],
        warnings=tuple(_warnings(connection, total, starts, ends)),
    )


def reopen(
    connection: sqlite3.Connection,
    month: str,
    reason: str,
    *,
    reopened_by: str | None = None,
    moment: str | None = None,
) -> None:
    """Open a closed month again: a recorded event, and what was reported stays in the file.

    The caller holds the write transaction. Raises InvalidRecord for what is no month or no reason, and LedgerError
    where the month is not closed.
    """
    month, _, _ = _bounds(month)
    if not reason.strip():
        raise InvalidRecord("reason", reason, "say why the month is opened again")
    if _held(connection, month) is None:
        raise LedgerError(f"{month} is not closed: there is nothing to open again")
    event = {"month": month, "event": "reopen", "recorded_at": moment or clock.now()}
    _record(connection, event | {"reason": reason, "recorded_by": reopened_by})


def verify(connection: sqlite3.Connection) -> list[Row]:
    """Closes whose figures are not what they were, as rows of check, subject and problem."""
    columns = ", ".join(("id", "month", "recorded_at", *_REACHED, "digest"))
    closes = connection.execute(f"select {columns} from period_close where event = 'close' order by id").fetchall()
    return [
        {
            "check": "closed_figures",
            "subject": f"{month}, closed at {moment}",
            "problem": "its figures do not match its digest: bring the file back from a backup",
        }
        for close_id, month, moment, *reached, digest in closes
        if _digest((month, moment, *reached), _read(connection, "closed_figure", "close_id = ?", close_id)) != digest
    ]


def closed_rows(connection: sqlite3.Connection, month: str, axis: str, *, all_in: bool = False) -> list[Row]:
    """What was reported for a closed month by `axis`, one of reporting.AXES, in order of the key.

    The columns are those of the views cost_by_…, of LLM calls alone, or with `all_in` of all_in_by_…; the one row of
    the axis month is the total. Raises InvalidRecord for what is no month, and LedgerError where the month is not
    closed, or for `all_in` by model.
    """
    month, _, _ = _bounds(month)
    if axis not in reporting.AXES or (all_in and axis == "model"):
        what = f"--by {axis} --all-in" if all_in else f"--by {axis}"
        raise LedgerError(f"closed months have no figures for {what}: give one of {', '.join(reporting.AXES)}")
    held = _held(connection, month)
    if held is None:
        raise LedgerError(f"{month} is not closed: agent-ledger close LEDGER {month}")
    where = "close_id = ? and axis = ?"
    found = _read(connection, "closed_figure", where, held[0], "total" if axis == "month" else axis)
    rows = [dict(zip(FIGURES, row, strict=True)) for row in found]
    return [
        {reporting.AXES[axis]: month if axis == "month" else row["key"], **(_all_in(row) if all_in else _llm(row))}
        for row in rows
        if all_in or row["calls"]
    ]


def _llm(row: Row) -> Row:
    tokens = ("prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens")
    return {
        "calls": row["calls"],
        **{name: row[name] for name in tokens},
        "cost_usd": _dollars(_amounts(row)[0]),
        "unpriced_calls": row["unpriced_calls"],
    }


def _all_in(row: Row) -> Row:
    llm, tool = _amounts(row)
    known = [amount for amount in (llm, tool) if amount is not None]
    # What was not called costs nothing; what nobody knows the cost of is not nothing.
    return {
        "calls": row["calls"],
        "tool_calls": row["tool_calls"],
        "llm_usd": _dollars(llm if row["unpriced_calls"] else llm or 0),
        "tool_usd": _dollars(tool if row["uncosted_calls"] else tool or 0),
        "all_in_usd": _dollars(sum(known) if known else None),
        "unpriced_calls": row["unpriced_calls"],
        "uncosted_calls": row["uncosted_calls"],
    }


def _amounts(row: Row) -> tuple[int | None, int | None]:
    """The cost of LLM calls and of tool calls in pico-dollars; None: no call has a known one."""
    llm, tool = (
        None if row[f"{part}_4096ths"] is None else row[f"{part}_4096ths"] * _PICOS_PER_4096TH + row[f"{part}_picos"]
        for part in ("llm", "tool")
    )
    return llm, tool


def _dollars(picos: int | None) -> float | None:
    return None if picos is None else picos / 10**12  # of whole numbers, which rounds once


def _bounds(month: str) -> tuple[str, str, str]:
    """The month as it is written, its first moment, and the first one after it."""
    try:
        starts, ends = reporting.month_of(month)
    except ValueError:
        raise InvalidRecord("month", month, "give a month such as 2026-10") from None
    return starts[:7], starts, ends


def _held(connection: sqlite3.Connection, month: str) -> tuple[int, str] | None:
    """Id and time of the close of a month; None: it is open."""
    found = connection.execute("select close_id, closed_at from closed_month where month = ?", [month]).fetchone()
    return None if found is None else (found[0], found[1])


def _read(connection: sqlite3.Connection, source: str, where: str, *values: object) -> list[tuple[Any, ...]]:
    sql = f"select {', '.join(FIGURES)} from {source} where {where} order by axis, key"
    return [tuple(row) for row in connection.execute(sql, values)]


def _record(connection: sqlite3.Connection, event: Row) -> None:
    marks = ", ".join("?" * len(event))
    connection.execute(f"insert into period_close ({', '.join(event)}) values ({marks})", list(event.values()))


def _digest(head: Sequence[object], figures: Iterable[Sequence[object]]) -> str:
    lines = (
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in (head, *sorted(figures, key=_name))
    )
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")).hexdigest()


def _name(figure: Sequence[object]) -> tuple[str, str]:
    return str(figure[0]), str(figure[1])


def _bring_allocation_up_to_date(connection: sqlite3.Connection) -> None:
    made_of = connection.execute("select value from ledger_meta where key = 'allocated'").fetchone()
    billed = connection.execute("select exists (select 1 from charge)").fetchone()[0]
    if billed and connection.execute("select state from allocation_state").fetchone() != made_of:
        allocation.allocate(connection)


def _warnings(connection: sqlite3.Connection, total: Row, starts: str, ends: str) -> Iterable[str]:
    """What is missing from the figures of a month, in sentences."""
    if not total["calls"] and not total["tool_calls"]:
        yield "the month has no calls"
    if total["unpriced_calls"]:
        yield f"{_of(total['unpriced_calls'], total['calls'])} LLM calls have no price"
    if total["uncosted_calls"]:
        yield f"{_of(total['uncosted_calls'], total['tool_calls'])} tool calls have no cost"
    known, rest, unknown = connection.execute(
        "select count(cost_picos), total(cost_picos) / 1e12, count(*) - count(cost_picos) from unallocated_charge"
        " where period_start >= ? and period_start < ?",
        [starts, ends],
    ).fetchone()
    if known:
        yield f"{rest:,.2f} USD of the bills are allocated to no tool call (lines with a rest: {known:,})"
    if unknown:
        yield f"lines of bills in a currency without exchange rate, and in no figure: {unknown:,}"
    for bill, through in connection.execute(
        "select bill, max(period_end) from billed_charge where category = 'usage' and period_start < ? group by bill"
        " having max(period_end) < ? order by bill",
        [ends, ends],
    ):
        yield f"the use that the bill {bill} covers ends at {through}"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"
