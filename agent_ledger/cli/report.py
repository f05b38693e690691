"""`agent-ledger report`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from agent_ledger import closing, reporting, repricing
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import as_of_option, opened, price_sources, source_argument, zone_option
from agent_ledger.far import Address
from agent_ledger.records import Row
from agent_ledger.selecting import Selects

Value = TypeVar("Value")

_UTC = ("UTC", "Etc/UTC")
_REMEDY = "give a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z"


def _models(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    for pair in value:
        if not all(model.strip() for model in pair.partition("=")[::2]):
            raise click.BadParameter(f"{pair!r}: give MODEL=MODEL, such as claude-opus-5=claude-sonnet-5", ctx, param)
    return dict(pair.split("=", 1) for pair in value)


@click.command()
@source_argument
@click.option("--by", type=click.Choice([*reporting.AXES, reporting.TOOL]), required=True, help="What to add up by.")
@click.option("--all-in", is_flag=True, help="Tool calls and what no call claimed of the cloud bills too.")
@click.option(
    "--reprice",
    "models",
    multiple=True,
    metavar="MODEL=MODEL",
    callback=_models,
    help="What if the calls of the first model had gone to the second? May be repeated; * and ? stand for others.",
)
@click.option("--since", metavar="DATE|TIME", help="Only calls from this day or time on.")
@click.option("--until", metavar="DATE|TIME", help="Only calls up to this day, which is included, or before this time.")
@click.option("--month", metavar="YYYY-MM", help="Only the calls of this month.")
@click.option("--as-closed", is_flag=True, help="The figures as they were when the month was closed. Needs --month.")
@zone_option
@as_of_option
@click.option(
    "--sort",
    type=click.Choice(("cost", "key", "calls")),
    help="The largest cost first, by name, or the most calls first.  [default: cost; key for days and months]",
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many rows.  [default: all]")
@output.form_options
def report(
    ledger: Path | Address,
    by: str,
    all_in: bool,
    models: dict[str, str],
    since: str | None,
    until: str | None,
    month: str | None,
    as_closed: bool,
    zone: tzinfo,
    as_of: str | None,
    sort: str | None,
    limit: int | None,
    form: str | None,
) -> None:
    """Which agent, team, feature, customer, model or tool spent the money, and when?

    The rows add up to the total below them, to the last cent. A call without a price is not in any cost: such calls are
    counted beside it. Dates are days of --tz; a time without an offset is one of --tz too. What no tool call claimed of
    a bill is the row (unallocated), at the time when its period begins; `share` gives agents a part of it, beside.

    \b
    Examples:
      agent-ledger report ledger.db --by agent
      agent-ledger report ledger.db --by customer --month 2026-10 --limit 10
      agent-ledger report ledger.db --by day --since 2026-11-01 --tz Europe/Berlin
      agent-ledger report ledger.db --by team --as-of 2026-11-01 --json
      agent-ledger report ledger.db --by agent --all-in
      agent-ledger report ledger.db --by agent --month 2026-10 --as-closed
      agent-ledger report postgresql://reader@db.internal/costs --by agent
      agent-ledger report ledger.db --by agent --reprice claude-opus-5=claude-sonnet-5
    """
    _refuse_what_is_not_there(by, all_in, models)
    if as_closed and (month is None or models or as_of or by == reporting.TOOL or str(zone) not in _UTC):
        raise usage_error("--as-closed needs --month, a month of UTC: leave --as-of, --reprice, --by tool and --tz out")
    start, end = _bounds(since, until, month, zone)
    period: dict[str, Any] = {"since": start, "until": end}
    billed: Row = {}
    elsewhere = by in reporting.CALENDAR and str(zone) not in _UTC
    with opened(ledger, as_of=as_of, reprice=models, as_closed=as_closed, tz=elsewhere) as connection:
        if isinstance(connection, sqlite3.Connection) and models:
            columns = repricing.columns(by)
            rows, total = repricing.compare(connection, by, models, price_sources(), as_of=as_of, zone=zone, **period)
        elif isinstance(connection, sqlite3.Connection) and as_closed:
            columns = reporting.columns(by, all_in=all_in)
            rows, total = _closed(connection, month or "", by, all_in)
        else:
            columns = reporting.columns(by, all_in=all_in)
            rows = reporting.report(connection, by, all_in=all_in, zone=zone, **period)
            total = reporting.total(connection, by, all_in=all_in, **period) if form is None else {}
            billed = reporting.billed(connection, **period) if all_in and form is None else {}
            if all_in and by == "agent" and reporting.sharing(connection) != "none":
                columns = _share(connection, columns, rows, month if str(zone) in _UTC else None)
    shown = _sorted(rows, by, sort)[:limit]
    what = "tool calls" if by == reporting.TOOL else "calls"
    output.show(shown, columns, form, empty=f"{ledger} has no {what}{' in this period' if start or end else ''}")
    if form is None and rows:
        click.echo(f"\n{_truth(ledger, by, total | billed, len(shown), len(rows))}")


def _closed(connection: sqlite3.Connection, month: str, by: str, all_in: bool) -> tuple[list[Row], Row]:
    totals = closing.closed_rows(connection, month, "month", all_in=all_in)
    return closing.closed_rows(connection, month, by, all_in=all_in), dict(*totals)


def _share(connection: Selects, columns: tuple[str, ...], rows: Sequence[Row], month: str | None) -> tuple[str, ...]:
    """Give the rows one more column, what the sharing rule puts on each agent; the others stay as they are."""
    if month is None:
        click.echo("What is shared over agents is shown for whole months of UTC: give --month", err=True)
        return columns
    parts = reporting.shared(connection, month.strip())
    for row in rows:
        row["shared_usd"] = parts.get(row["agent_id"])
    return (*columns, "shared_usd")


def _refuse_what_is_not_there(by: str, all_in: bool, models: Mapping[str, str]) -> None:
    if all_in and models:
        raise usage_error("--reprice is about LLM calls alone: leave --all-in out")
    if by == reporting.TOOL and (all_in or models):
        raise usage_error("--by tool is about tool calls alone: leave --all-in and --reprice out")
    if all_in and by not in reporting.ALL_IN_AXES:
        raise usage_error(f"a tool call has no model: give --all-in with --by {', '.join(reporting.ALL_IN_AXES)}")


def _bounds(since: str | None, until: str | None, month: str | None, zone: tzinfo) -> tuple[str | None, str | None]:
    if month is not None and (since is not None or until is not None):
        raise usage_error("give either --month, or --since and --until")
    if month is not None:
        return _read("--month", month, lambda text: reporting.month_of(text, zone), "give a month such as 2026-01")
    start = None if since is None else _read("--since", since, lambda text: reporting.start_of(text, zone), _REMEDY)
    end = None if until is None else _read("--until", until, lambda text: reporting.end_of(text, zone), _REMEDY)
    if start is not None and end is not None and end <= start:
        raise usage_error(f"--until {until} is before --since {since}")
    return start, end


def _read(option: str, text: str, convert: Callable[[str], Value], remedy: str) -> Value:
    try:
        return convert(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}: {remedy}", param_hint=f"'{option}'") from None


def _sorted(rows: Sequence[Row], by: str, sort: str | None) -> list[Row]:
    by_key = sorted(rows, key=lambda row: [str(row[key]) for key in reporting.keys(by)])
    if sort is None:
        sort = "key" if by in reporting.CALENDAR else "cost"
    if sort == "cost":
        return sorted(by_key, key=_cost, reverse=True)
    return by_key if sort == "key" else sorted(by_key, key=lambda row: row["calls"], reverse=True)


def _cost(row: Row) -> tuple[bool, float]:
    """What a row is sorted by: an unknown cost comes after all others, credits included."""
    cost = row["all_in_usd"] if "all_in_usd" in row else row["cost_usd"]
    return cost is not None, cost or 0.0


def _truth(ledger: Path | Address, by: str, total: Row, shown: int, rows: int) -> str:
    """What the whole period cost, and what is missing from that."""
    parts = [_sum(by, total)]
    if shown < rows:
        parts[0] += f", {shown:,} of {rows:,} rows shown"
    if "billed_through" in total:
        through = total["billed_through"]
        parts.append("No cloud bill was imported" if through is None else f"Billed through {through}")
    if unconverted := total.get("unconverted_charges"):
        verb = "is" if unconverted == 1 else "are"
        parts.append(f"{output.count(unconverted, 'charge')} in a currency without exchange rate {verb} not in it")
    if uncosted := total.get("uncosted_calls"):
        parts.append(f"{_have(uncosted, 'tool call')} no cost")
    if unpriced := total.get("unpriced_calls"):
        parts.append(f"{_have(unpriced, 'call')} no price: {_remedy(ledger)}")
    if without := total.get("unpriced_repriced_calls"):
        parts.append(f"{_have(without, 'repriced call')} no price")
    return ". ".join(parts)


def _remedy(ledger: Path | Address) -> str:
    name = output.plain(str(ledger))
    return f"agent-ledger check {name}" if isinstance(ledger, Path) else f"agent-ledger rows {name} unpriced_calls"


def _sum(by: str, total: Row) -> str:
    calls = output.count(total["calls"], "tool call" if by == reporting.TOOL else "call")
    if "repriced_usd" in total:
        difference = total["difference_usd"]
        change = "" if difference is None else f", {'+' if difference > 0 else ''}{output.money(difference)}"
        return f"Total: {_dollars(total['cost_usd'])} for {calls}; repriced: {_dollars(total['repriced_usd'])}{change}"
    if "all_in_usd" in total:
        tools = output.count(total["tool_calls"], "tool call")
        return (
            f"Total: {_dollars(total['all_in_usd'])}: {_dollars(total['llm_usd'])} for {calls}, "
            f"{_dollars(total['tool_usd'])} for {tools} and what none of them claimed"
        )
    return f"Total: {_dollars(total['cost_usd'])} for {calls}"


def _dollars(amount: float | None) -> str:
    return "not known" if amount is None else f"{output.money(amount)} USD"


def _have(number: int, noun: str) -> str:
    return f"{output.count(number, noun)} {'has' if number == 1 else 'have'}"
