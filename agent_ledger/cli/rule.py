"""`agent-ledger rule`: which lines of bills go to which tool calls, as the user says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import LedgerCommands, ledger_argument, text_option
from agent_ledger.ledger import Ledger, reading

_IN_FORCE = """
  select * from allocation_rule as latest
  where id = (select max(id) from allocation_rule where name = latest.name)
  order by priority, id
"""


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def rule(ctx: click.Context, ledger: Path) -> None:
    """Say which lines of bills go to which tool calls, where the resource they name does not say it.

    \b
    Examples:
      agent-ledger rule ledger.db set search --service AmazonES --tool "search_*" --method weighted --weight duration
      agent-ledger rule ledger.db list
    """
    ctx.obj = ledger


@click.command("set")
@click.argument("name")
@text_option("--provider", help="Lines of this provider; patterns with * and ? here and below.")
@text_option("--account", help="Lines of this account.")
@text_option("--service", help="Lines of this service, as the bill writes it.")
@text_option("--resource-id", help="Lines of this resource, as the bill writes it.")
@text_option("--operation", help="Lines of this operation.")
@text_option("--usage-type", help="Lines of this usage type.")
@text_option("--category", help="Lines of this category: usage, tax, credit, ….")
@text_option("--tool", help="Calls of this tool.")
@text_option("--server", help="Calls of tools of this server.")
@text_option("--tool-resource-id", help="Calls that touched this resource.  [default: the line's, or any for a tool]")
@text_option("--tool-operation", help="Calls that did this operation.")
@click.option(
    "--method",
    type=click.Choice(["metered", "weighted", "none"]),
    required=True,
    help="By their own units at the line's price; or all of it by weight; or to nobody.",
)
@click.option(
    "--weight", type=click.Choice(["calls", "units", "duration"]), default="calls", show_default=True, help="Of a call."
)
@text_option("--unit", help="Only calls that count this unit.")
@click.option("--priority", type=int, default=100, show_default=True, help="The lowest that matches a line decides.")
@click.pass_obj
def set_(ledger: Path, /, **given: Any) -> None:
    """Set a rule; one of the same name is replaced. Bills are allocated anew at once.

    \b
    Examples:
      agent-ledger rule ledger.db set search --service AmazonES --tool "search_*" --method weighted --weight duration
      agent-ledger rule ledger.db set shared --resource-id "*:db:shared" --method none
    """
    if not given["name"].strip():
        raise click.BadParameter("give the rule a name")
    with Ledger(ledger) as book:
        book.set_rule(**given)
    click.echo(
        output.plain(f"rule {given['name']} is set: agent-ledger rows {ledger} unallocated_charge shows the rest")
    )


@click.command("list")
@output.form_options
@click.pass_obj
def list_(ledger: Path, form: str | None) -> None:
    """List the rules in force, the first that decides first.

    \b
    Examples:
      agent-ledger rule ledger.db list
    """
    with reading(ledger) as connection:
        found = [dict(row) for row in connection.execute(_IN_FORCE)]
        columns = [row[1] for row in connection.execute("pragma table_info(allocation_rule)")]
    if form is None:
        columns = [name for name in columns if name == "name" or any(row[name] is not None for row in found)]
        columns = [name for name in columns if name not in ("id", "recorded_at")]
    output.show(found, columns, form, empty=f"{ledger} has no rules: lines go to who touched their resource")


for _command in (set_, list_):
    rule.add_command(_command)
