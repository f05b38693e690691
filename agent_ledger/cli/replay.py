"""`agent-ledger replay`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from agent_ledger import spool
from agent_ledger.cli.errors import PROBLEM
from agent_ledger.cli.options import ledger_argument
from agent_ledger.cli.output import count, plain
from agent_ledger.connection import Writer
from agent_ledger.ledger import reading
from agent_ledger.price_lookup import look_up_new


@click.command()
@ledger_argument
@click.pass_context
def replay(ctx: click.Context, ledger: Path) -> None:
    """Bring in the rows that could not be written while agents ran.

    Where the ledger was locked, full or read-only, live capture keeps rows in files beside it (LEDGER.spool-….jsonl).
    Every opening of the ledger brings them in; this command does only that, and says how many there were. Files that
    another process is writing are left to it. The exit code is 1 where rows remain.

    \b
    Examples:
      agent-ledger replay ledger.db
    """
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    if not spool.waiting(ledger):
        click.echo("no rows are waiting")
        return
    with closing(Writer(ledger, synchronous="normal")) as writer:
        brought = spool.replay(ledger, writer.insert)
        look_up_new(writer)
    click.echo(f"brought in {count(brought, 'row')}")
    left = spool.problems(ledger)
    for problem in left:
        click.echo(plain(f"{problem['subject']}: {problem['problem']}"), err=True)
    if left:
        ctx.exit(PROBLEM)
