"""`agent-ledger report`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TypeVar

import click

from agent_ledger import reporting
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import as_of_option, ledger_argument, zone_option
from agent_ledger.ledger import reading
from agent_ledger.records import Row

Value = TypeVar("Value")

_REMEDY = "give a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z"


@click.command()
@ledger_argument
@click.option("--by", type=click.Choice(list(reporting.AXES)), required=True, help="What to add up by.")
@click.option("--since", metavar="DATE|TIME", help="Only calls from this day or time on.")
@click.option("--until", metavar="DATE|TIME", help="Only calls up to this day, which is included, or before this time.")
@click.option("--month", metavar="YYYY-MM", help="Only the calls of this month.")
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
    ledger: Path,
    by: str,
    since: str | None,
    until: str | None,
    month: str | None,
    zone: tzinfo,
    as_of: str | None,
    sort: str | None,
    limit: int | None,
    form: str | None,
) -> None:
    """Which agent, team, feature, customer or model spent the money, and when?

    The rows add up to the total below them, to the last cent. A call without a price is not in any cost: such calls are
    counted beside it. Dates are days of --tz; a time without an offset is one of --tz too.

    \b
    Examples:
      agent-ledger report ledger.db --by agent
      agent-ledger report ledger.db --by customer --month 2026-10 --limit 10
      agent-ledger report ledger.db --by day --since 2026-11-01 --tz Europe/Berlin
      agent-ledger report ledger.db --by team --as-of 2026-11-01 --json
    """
    start, end = _bounds(since, until, month, zone)
    with reading(ledger, as_of=as_of) as connection:
        rows = reporting.report(connection, by, since=start, until=end, zone=zone)
        total = reporting.total(connection, since=start, until=end) if form is None else {}
    shown = _sorted(rows, by, sort)[:limit]
    period = " in this period" if start or end else ""
    output.show(shown, reporting.columns(by), form, empty=f"{ledger} has no calls{period}")
    if form is None and rows:
        click.echo(f"\n{_truth(ledger, total, len(shown), len(rows))}")


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
    key = reporting.AXES[by]
    by_key = sorted(rows, key=lambda row: str(row[key]))
    if sort is None:
        sort = "key" if by in reporting.CALENDAR else "cost"
    if sort == "cost":
        return sorted(by_key, key=lambda row: -1.0 if row["cost_usd"] is None else row["cost_usd"], reverse=True)
    return by_key if sort == "key" else sorted(by_key, key=lambda row: row["calls"], reverse=True)


def _truth(ledger: Path, total: Row, shown: int, rows: int) -> str:
    """What the whole period cost, and what is missing from that."""
    cost = "not known" if total["cost_usd"] is None else f"{output.money(total['cost_usd'])} USD"
    parts = [f"Total: {cost} for {output.count(total['calls'], 'call')}"]
    if shown < rows:
        parts[0] += f", {shown:,} of {rows:,} rows shown"
    if unpriced := total["unpriced_calls"]:
        verb = "has" if unpriced == 1 else "have"
        parts.append(
            f"{output.count(unpriced, 'call')} {verb} no price: agent-ledger check {output.plain(str(ledger))}"
        )
    return ". ".join(parts)
