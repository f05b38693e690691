"""How rows come out: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import io
import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
from tabulate import tabulate

from agent_ledger import clock, exporting

Command = TypeVar("Command", bound=Callable[..., Any])

_NARROWEST = 8


def form_options(command: Command) -> Command:
    """The options --json and --csv; the command gets `form`, which is None for a table."""
    command = click.option("--csv", "form", flag_value="csv", default=None, help="Print CSV with all decimals.")(
        command
    )
    return json_option(command)


def json_option(command: Command) -> Command:
    """The option --json alone."""
    return click.option(
        "--json",
        "form",
        flag_value="json",
        default=None,
        help="Print JSON with all decimals; what is not known is null.",
    )(command)


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str | None, *, empty: str) -> None:
    """Print rows in the form that was asked for. A table without rows is the sentence `empty`."""
    if form == "json":
        show_json(rows)
    elif form == "csv":
        click.echo(as_csv(rows, columns), nl=False)
    elif rows:
        click.echo(as_table(rows, columns))
    else:
        click.echo(plain(empty))


def show_json(value: object) -> None:
    """Print JSON that any reader takes, whatever the encoding of the terminal."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, indent=2, ensure_ascii=not utf8, allow_nan=False))


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV with a header. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    file = io.BytesIO()
    kinds = dict.fromkeys(columns, exporting.TEXT)
    exporting.write_csv(exporting.Export(kinds, ([row[column] for column in columns] for row in rows)), file)
    return file.getvalue().decode()


def as_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A table with numbers to the right and headings no wider than they need to be."""
    largest = {
        column: max((abs(row[column]) for row in rows if row[column] is not None), default=0.0)
        for column in columns
        if column.endswith("_usd")
    }
    cells = [[cell(column, row[column], largest.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    headings = [
        "\n".join(textwrap.wrap(column.replace("_", " "), max(width, _NARROWEST), break_long_words=False))
        for column, width in zip(columns, widths, strict=True)
    ]
    align = ["right" if _is_numeric(rows, column) else "left" for column in columns]
    table: str = tabulate(cells, headings, tablefmt="simple", colalign=align, disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())


def cell(column: str, value: object, largest: float | None = None) -> str:
    """One value as people read it; `largest` is the largest amount of its column."""
    if value is None:
        return "unpriced" if column == "cost_usd" else "-"
    if value == clock.BEGINNING:
        return "since ever"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value))
    if column.endswith("_usd"):
        return money(value, largest)
    if column == "share" or column.endswith("_share"):
        return f"{value:.1%}"
    if isinstance(value, int):
        return str(value) if column in ("id", "part", "line") or column.endswith(("_id", "_row")) else f"{value:,}"
    return _decimals(value, most=6)


def money(value: float, largest: float | None = None) -> str:
    """Dollars, with the decimals that suit the largest amount beside them, so that points stand below each other.

    To the cent from a hundred dollars on, four decimals below, four significant digits below one cent.
    """
    scale = abs(value) if largest is None else largest
    if scale >= 100 or scale == 0:
        decimals = 2
    elif scale >= 0.01:
        decimals = 4
    else:
        decimals = min(12, 3 - math.floor(math.log10(scale)))
    shown = f"{value:,.{decimals}f}"
    return shown if value == 0 or float(shown.replace(",", "")) else f"<{10**-decimals:.{decimals}f}"


def plain(text: str) -> str:
    """Text without characters that could steer a terminal or break a line, or that can't be encoded."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def count(number: int, noun: str) -> str:
    """A number and what it counts: 1 call, 12 calls."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _decimals(value: float, most: int) -> str:
    whole, _, rest = f"{value:,.{most}f}".partition(".")
    if value and not float(f"{value:.{most}f}"):
        return f"{value:.4g}"  # too small for so few decimals
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def _is_numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return all(isinstance(value, int | float) for value in values) and (bool(values) or column.endswith("_usd"))
