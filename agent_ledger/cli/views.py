"""`agent-ledger views`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import reading
from agent_ledger.schema import scripts


@click.command()
@ledger_argument
@output.form_options
def views(ledger: Path, form: str | None) -> None:
    """List the canonical views, each with the question it answers.

    They are plain SQL views in the file: ask them from any SQLite tool, or with agent-ledger rows. What their columns
    mean stands in their own text (.schema in the sqlite3 shell).

    \b
    Examples:
      agent-ledger views ledger.db
      sqlite3 ledger.db "select * from cost_by_agent"
    """
    with reading(ledger):  # says so where it is no ledger
        found = [{"view": name, "question": _question(body)} for name, body in scripts("views").items()]
    output.show(found, ("view", "question"), form, empty="there are no views")


def _question(body: str) -> str:
    """The first line of the header comment."""
    return body.removeprefix("/*").strip().splitlines()[0].removesuffix("*/").strip()
