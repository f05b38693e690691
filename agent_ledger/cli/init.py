"""`agent-ledger init`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli.options import ledger_argument
from agent_ledger.cli.output import plain
from agent_ledger.ledger import Ledger


@click.command()
@ledger_argument
def init(ledger: Path) -> None:
    """Make a ledger file, or bring an older one up to date.

    A ledger is one SQLite file. Making it twice is harmless: what is in it stays. The commands that write (record,
    import, assign) make the file too, where there is none.

    \b
    Examples:
      agent-ledger init ledger.db
    """
    there = ledger.exists()
    with Ledger(ledger):
        pass
    click.echo(plain(f"{ledger} is a ledger already, and up to date" if there else f"made {ledger}"))
