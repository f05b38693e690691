"""`agent-ledger budget`: the group and what only reads. What writes stands in budget_set.py."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.budget_set import end, except_, set_
from agent_ledger.cli.options import LedgerCommands, ledger_argument
from agent_ledger.ledger import reading, select

_SHOWN = (
    *("scope", "key", "period", "limit_usd", "spent_usd", "forecast_usd", "used_share", "state", "directive"),
    *("exception_until", "verdict", "saving_usd"),
)
_LISTED = (
    *("budget", "limit_amount", "currency", "limit_tokens", "zone", "basis", "on_breach", "throttle_to"),
    *("hard_percent", "tier"),
)
_IN_TOKENS = ("limit_tokens", "spent_tokens", "forecast_tokens")


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def budget(ctx: click.Context, ledger: Path) -> None:
    """How much may be spent, by whom, and what happens then. The loop watches over it: see `agent-ledger loop -h`.

    Budgets are dated, and never removed: setting one again changes it from then on.

    \b
    Examples:
      agent-ledger budget ledger.db set --agent fraud-classifier --limit 100 --period month
      agent-ledger budget ledger.db status
    """
    ctx.obj = ledger


@click.command("list")
@output.form_options
@click.pass_obj
def list_(ledger: Path, form: str | None) -> None:
    """List the budgets that hold now.

    \b
    Examples:
      agent-ledger budget ledger.db list
    """
    with reading(ledger) as connection:
        columns = [row[1] for row in connection.execute("select * from pragma_table_info('budget_in_force')")]
        found = select(connection, "budget_in_force", {})
    if form is None:
        columns = [
            "budget",
            "limit_amount",
            "currency",
            "limit_tokens",
            "zone",
            "basis",
            "on_breach",
            "throttle_to",
            "tier",
        ]
    output.show(found, columns, form, empty=_none(ledger))


@click.command("status")
@output.form_options
@click.pass_obj
def status(ledger: Path, form: str | None) -> None:
    """How much of each budget is spent, what it will be at the end, and what is done about it.

    The table shows the most important columns of view budget_status; --json and --csv show all.

    \b
    Examples:
      agent-ledger budget ledger.db status
      agent-ledger budget ledger.db status --json
    """
    with reading(ledger) as connection:
        columns = [row[1] for row in connection.execute("select * from pragma_table_info('budget_status')")]
        found = select(connection, "budget_status", {})
    if form is None:
        columns = list(_SHOWN)
        if any(row["limit_tokens"] is not None for row in found):
            columns[6:6] = _IN_TOKENS
        found = [{**row, "used_share": _percent(row["used_share"])} for row in found]
    output.show(found, columns, form, empty=_none(ledger))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _none(ledger: Path) -> str:
    return f"{ledger} has no budgets: agent-ledger budget {ledger} set -h says how to set one"


for _command in (set_, list_, status, except_, end):
    budget.add_command(_command)
