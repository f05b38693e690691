"""`agent-ledger rows`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import as_of_option, opened, source_argument, view_argument
from agent_ledger.far import Address
from agent_ledger.ledger import select


def _conditions(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    for pair in value:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r}: give COLUMN=VALUE", ctx, param)
    return dict(pair.split("=", 1) for pair in value)


@click.command()
@source_argument
@view_argument
@click.option(
    "--where",
    "equal",
    multiple=True,
    metavar="COLUMN=VALUE",
    callback=_conditions,
    help="Only rows whose column has this value. May be repeated: all must hold.",
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many rows.  [default: all]")
@as_of_option
@output.form_options
def rows(
    ledger: Path | Address, view: str, equal: dict[str, str], limit: int | None, as_of: str | None, form: str | None
) -> None:
    """Print the rows of a view or a table; agent-ledger views lists them.

    \b
    Examples:
      agent-ledger rows ledger.db coverage
      agent-ledger rows ledger.db call_cost --where agent_id=support-bot --limit 20 --csv
      agent-ledger rows postgresql://reader@db.internal/costs unpriced_calls
    """
    with opened(ledger, as_of=as_of) as connection:
        found = select(connection, view, equal)
        columns = [name for name, _ in connection.execute("select name, type from pragma_table_info(?)", [view])]
    output.show(found[:limit], columns, form, empty=f"{view} has no such rows" if equal else f"{view} has no rows")
