"""`agent-ledger check`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger import archiving, checks, closing, ship_cursors, spool
from agent_ledger.cli import output
from agent_ledger.cli.errors import PROBLEM
from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import reading


@click.command()
@ledger_argument
@output.form_options
@click.pass_context
def check(ctx: click.Context, ledger: Path, form: str | None) -> None:
    """Is the file sound, and are its figures complete?

    Looks for damage, calls without a price, ids that were recorded twice with different content, tool calls without
    their request, totals that differ, rows that wait beside the file, and destinations that are behind. Prints what is
    wrong; the exit code is 1 then, and 0 where nothing is.

    \b
    Examples:
      agent-ledger check ledger.db
      agent-ledger check ledger.db --json
    """
    with reading(ledger) as connection:
        problems = [
            *(*checks.run(connection), *closing.verify(connection)),
            *(*archiving.problems(connection), *spool.problems(ledger), *ship_cursors.problems(connection)),
        ]
    output.show(
        problems,
        ("check", "subject", "problem"),
        form,
        empty=f"{ledger} is sound: every call has a price, nothing contradicts itself, and every total agrees",
    )
    if problems:
        if form is None:
            click.echo(f"\n{output.count(len(problems), 'problem')} found")
        ctx.exit(PROBLEM)
