"""`agent-ledger prices`: the group and what only reads. What writes stands in prices_set.py and prices_sync.py."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import LedgerCommands, as_of_option, ledger_argument
from agent_ledger.cli.prices_set import set_
from agent_ledger.cli.prices_sync import sync
from agent_ledger.ledger import reading, select
from agent_ledger.records import Row

_PER_TOKEN = ("input_price", "output_price", "cache_read_price", "cache_write_price", "cache_write_1h_price")


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def prices(ctx: click.Context, ledger: Path) -> None:
    """What models cost: look prices up, list them, set your own, compare sources.

    Prices are dated, and never removed: a price that is corrected re-costs history, and --as-of shows what was known
    before.

    \b
    Examples:
      agent-ledger prices ledger.db list
      agent-ledger prices ledger.db set --model claude-sonnet-4-5 --discount 15%
    """
    ctx.obj = ledger


@click.command("list")
@click.option("--model", metavar="PATTERN", help="Only models that match; * and ? are wildcards.")
@click.option("--all", "everything", is_flag=True, help="All that was ever said, by every source, not what holds now.")
@as_of_option
@output.form_options
@click.pass_obj
def list_(ledger: Path, model: str | None, everything: bool, as_of: str | None, form: str | None) -> None:
    """List the prices in force now, at the standard tier.

    The table shows US dollars per million tokens; --json and --csv give the columns of view price as they are, US
    dollars per token, or with --all those of view price_history.

    \b
    Examples:
      agent-ledger prices ledger.db list
      agent-ledger prices ledger.db list --all --model "claude-*"
    """
    view = "price_history" if everything else "price"
    with reading(ledger, as_of=as_of) as connection:
        columns = [row[1] for row in connection.execute("select * from pragma_table_info(?)", [view])]
        found = select(connection, view, {})
        if model is not None:
            names = {row[0] for row in connection.execute(f"select model from {view} where model glob ?", [model])}
            found = [row for row in found if row["model"] in names]
    if as_of is not None and everything:
        found = [row for row in found if row["recorded_at"] <= as_of]
    if form is None and not everything:
        found, columns = [_per_million(row) for row in found], [_heading(column) for column in columns]
    output.show(found, columns, form, empty=f"{ledger} has no such prices: agent-ledger check {ledger} says why")


def _per_million(row: Row) -> Row:
    return {
        _heading(column): round(value * 1e6, 6) if column in _PER_TOKEN and value is not None else value
        for column, value in row.items()
    }


def _heading(column: str) -> str:
    return f"{column.removesuffix('_price')}_$/Mtok" if column in _PER_TOKEN else column


@click.command("diff")
@output.form_options
@click.pass_obj
def diff(ledger: Path, form: str | None) -> None:
    """Where do price sources disagree about what a model costs now?

    \b
    Examples:
      agent-ledger prices ledger.db diff
    """
    with reading(ledger) as connection:
        columns = [row[1] for row in connection.execute("select * from pragma_table_info('price_disagreements')")]
        found = select(connection, "price_disagreements", {})
    output.show(found, columns, form, empty="the price sources do not disagree about any model")


for _command in (list_, set_, sync, diff):
    prices.add_command(_command)
