"""`agent-ledger demo`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli.options import file_path
from agent_ledger.cli.output import plain
from agent_ledger.demo import build


@click.command()
@click.argument("path", type=file_path())
def demo(path: Path) -> None:
    """Write the demo ledger, of a company that does not exist, to a new file.

    It is the same on every machine: a place to try every command and every view.

    \b
    Examples:
      agent-ledger demo demo.db
      agent-ledger report demo.db --by team
    """
    build(path)
    click.echo(plain(f"made {path}: try agent-ledger report {path} --by agent"))
