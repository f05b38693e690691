"""`agent-ledger views`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger import dialects, far, parquet_views
from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import reading
from agent_ledger.schema import scripts


@click.command()
@ledger_argument
@click.option(
    "--dialect",
    type=click.Choice(dialects.DIALECTS),
    help="Print the statements that make the views on another engine; with duckdb over LEDGER, a folder of Parquet.",
)
@output.form_options
def views(ledger: Path, dialect: str | None, form: str | None) -> None:
    """List the canonical views, each with the question it answers.

    They are plain SQL views in the file: ask them from any SQLite tool, or with agent-ledger rows. What their columns
    mean stands in their own text (.schema in the sqlite3 shell). `ship` makes the same views in PostgreSQL and
    ClickHouse; over a folder of Parquet files that it wrote, DuckDB makes them from what --dialect duckdb prints.

    \b
    Examples:
      agent-ledger views ledger.db
      sqlite3 ledger.db "select * from cost_by_agent"
      agent-ledger views calls/ --dialect duckdb | duckdb -c ".read /dev/stdin" -c "from cost_by_agent"
    """
    if dialect is not None:
        if form is not None:
            raise usage_error("--dialect prints statements: leave --json and --csv out")
        click.echo("\n\n".join(_statements(ledger, dialect)))
        return
    with reading(ledger):  # says so where it is no ledger
        found = [{"view": name, "question": _question(body)} for name, body in scripts("views").items()]
    output.show(found, ("view", "question"), form, empty="there are no views")


def _statements(ledger: Path, dialect: str) -> list[str]:
    if dialect == "duckdb":
        far.check_folder(ledger)
        return list(parquet_views.statements(ledger).values())
    return [f"create or replace view {name} as\n{body};" for name, body in dialects.views(dialect).items()]


def _question(body: str) -> str:
    """The first line of the header comment."""
    return body.removeprefix("/*").strip().splitlines()[0].removesuffix("*/").strip()
