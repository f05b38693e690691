"""`agent-ledger compact`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from agent_ledger import compacting, schema
from agent_ledger.cli import output
from agent_ledger.cli.options import ledger_argument
from agent_ledger.cli.progress import progress
from agent_ledger.ledger import Ledger, reading


@click.command()
@ledger_argument
@click.option("--quiet", is_flag=True, help="No progress bar.")
def compact(ledger: Path, quiet: bool) -> None:
    """Add new calls to the sums that the views read, so that they stay fast in a large ledger.

    The library does it by itself as calls are recorded; do it after rows came in by other ways, or from cron. Figures
    are the same before, during and after; others may write meanwhile. It may be stopped at any time and goes on where
    it was.

    \b
    Examples:
      agent-ledger compact ledger.db
    """
    with closing(schema.open_for_reading(ledger)):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        with reading(ledger) as connection:
            rolled, recorded = compacting.reach(connection)
        with progress("compacting", recorded - rolled, quiet=quiet) as advance:
            rows = book.compact(advance=advance)
    click.echo(f"{output.count(rows, 'call')} compacted" if rows else "nothing to compact")
