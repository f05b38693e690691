"""`agent-ledger export`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import click

from agent_ledger import exporting, reporting
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import as_of_option, file_path, opened, source_argument
from agent_ledger.far import Address

Write = Callable[[exporting.Export, BinaryIO], int]

_BY_ENDING: dict[str, Write] = {
    ".csv": exporting.write_csv,
    ".csv.gz": exporting.write_gzip,
    ".parquet": exporting.write_parquet,
}


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value.strip())
    except ValueError:
        raise click.BadParameter(f"{value!r}: give a date such as 2026-01-31", ctx, param) from None


def _month(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    try:
        return None if value is None else reporting.month_of(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: give a month such as 2026-01", ctx, param) from None


@click.command()
@source_argument
@click.argument("form", metavar="focus|csv|parquet", type=click.Choice(("focus", "csv", "parquet")))
@click.argument("view", required=False)
@click.option("-o", "--output", "file", type=file_path(), help="The file to write.  [default for CSV: stdout]")
@click.option("--month", metavar="YYYY-MM", callback=_month, help="FOCUS: only charges of this month.")
@click.option("--since", metavar="DATE", callback=_day, help="FOCUS: only charges from this UTC day on.")
@click.option(
    "--until", metavar="DATE", callback=_day, help="FOCUS: only charges up to this UTC day, which is included."
)
@as_of_option
def export(
    ledger: Path | Address,
    form: str,
    view: str | None,
    file: Path | None,
    month: tuple[str, str] | None,
    since: date | None,
    until: date | None,
    as_of: str | None,
) -> None:
    """Write a file for other tools: FOCUS 1.2 for finance, or any view or table as CSV or Parquet.

    focus writes one row per day, agent, model, kind of tokens and price, and one per part of a bill. The sum of
    BilledCost is the all-in total, exactly. What has no price is left out, because unknown is not zero; how much that
    is, is said. The ending of the file decides: .csv, .csv.gz or .parquet. A file that is there is replaced when the
    new one is whole.

    \b
    Examples:
      agent-ledger export ledger.db focus --month 2026-10 -o focus.csv.gz
      agent-ledger export ledger.db csv cost_by_agent
      agent-ledger export ledger.db parquet call_cost -o calls.parquet
    """
    write = _writer(form, file)
    if (form == "focus") == (view is not None):
        raise usage_error("focus takes no view" if view else f"say which view or table to write as {form}")
    if form != "focus" and (month or since or until):
        raise usage_error("--month, --since and --until are for focus")
    if file is not None and file.exists() and isinstance(ledger, Path) and ledger.exists() and file.samefile(ledger):
        raise usage_error(f"{file} is the ledger itself: give another file")
    start, end = _bounds(month, since, until)
    with opened(ledger, as_of=as_of) as connection:
        connection.execute("begin")  # one moment for all that is read
        rows = exporting.focus(connection, since=start, until=end) if view is None else exporting.view(connection, view)
        total = _Total(rows) if view is None else None
        count = _written(write, total.export if total else rows, file)
        if total is not None:
            _say_what_is_missing(ledger, exporting.missing(connection, since=start, until=end))
    if file is not None:
        amount = f", {output.money(float(total.billed))} USD in all," if total else ""
        click.echo(f"wrote {output.count(count, 'row')}{amount} to {output.plain(str(file))}")


class _Total:
    """Adds up what passes by."""

    def __init__(self, rows: exporting.Export) -> None:
        self.billed = Decimal(0)
        self._column = list(rows.columns).index("BilledCost")
        self.export = exporting.Export(rows.columns, map(self._add, rows.rows))

    def _add(self, row: Sequence[Any]) -> Sequence[Any]:
        self.billed += row[self._column]
        return row


def _writer(form: str, file: Path | None) -> Write:
    if form == "parquet":
        if file is None:
            raise usage_error("Parquet can't be shown: say which file to write with -o")
        return exporting.write_parquet
    if file is None:
        return exporting.write_csv
    if form == "csv":
        return exporting.write_gzip if file.name.lower().endswith(".gz") else exporting.write_csv
    for ending, write in _BY_ENDING.items():
        if file.name.lower().endswith(ending):
            return write
    raise usage_error(f"{file}: give a file that ends in .csv, .csv.gz or .parquet")


def _bounds(month: tuple[str, str] | None, since: date | None, until: date | None) -> tuple[str | None, str | None]:
    """The first day, and the first one after."""
    if month is not None and (since or until):
        raise usage_error("give either --month, or --since and --until")
    if month is not None:
        return month[0][:10], month[1][:10]
    if since and until and until < since:
        raise usage_error(f"--until {until} is before --since {since}")
    after = None if until is None or until == date.max else (until + timedelta(days=1)).isoformat()
    return (since.isoformat() if since else None), after


def _written(write: Write, rows: exporting.Export, file: Path | None) -> int:
    if file is None:
        return write(rows, sys.stdout.buffer)
    with exporting.replacing(file) as binary:
        return write(rows, binary)


def _say_what_is_missing(ledger: Path | Address, counts: Mapping[tuple[str, str], int]) -> None:
    said = [f"{output.count(count, noun)} without {lacks}" for (noun, lacks), count in counts.items() if count]
    if said:
        name = output.plain(str(ledger))
        remedy = (
            f"agent-ledger check {name}" if isinstance(ledger, Path) else f"agent-ledger rows {name} unpriced_calls"
        )
        click.echo(f"Not in it, because unknown is not zero: {', '.join(said)}. See {remedy}", err=True)
