"""`agent-ledger policy`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.options import LedgerCommands, file_path, ledger_argument, moment_option
from agent_ledger.cli.output import plain
from agent_ledger.control import policy as rules_of
from agent_ledger.ledger import Ledger, reading, select


@click.group(cls=LedgerCommands, subcommand_metavar="COMMAND [OPTIONS]")
@ledger_argument
@click.pass_context
def policy(ctx: click.Context, ledger: Path) -> None:
    """What is done about what the loop finds: rules in one TOML file, which are kept as dated rows.

    Without rules, a budget that is exceeded is treated as it says itself, a hard cap blocks, and of all else somebody
    is told.

    \b
    Examples:
      agent-ledger policy ledger.db load policy.toml
      agent-ledger loop ledger.db --dry-run
    """
    ctx.obj = ledger


@click.command("load")
@click.argument("file", type=file_path())
@moment_option("--from", "valid_from", help="Since when (UTC).  [default: now]")
@click.pass_obj
def load(ledger: Path, file: Path, valid_from: str | None) -> None:
    """Let the rules of a file hold, in their order, and no others.

    A rule is a table [[rule]] with a name, an action (nothing, notify, throttle or block), and conditions, which may be
    left out: finding (step, exceeded, hard cap, forecast, anomaly or incomplete), percent, budget, scope, key, team,
    tier, hours ("22:00-07:00"), weekdays ([1, 2, 3, 4, 5]) and zone. The first rule whose conditions all hold decides.
    throttle_to, samples (calls until it is judged, 20) and at_most (what did not work escalates no further) say how.

    \b
    Examples:
      agent-ledger policy ledger.db load policy.toml
    """
    rules = rules_of.read(file)
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        changed = book.set_policy(rules, valid_from=valid_from)
    what = f"new, changed or ended: {', '.join(changed)}" if changed else "nothing changed"
    click.echo(plain(f"{output.count(len(rules), 'rule')}; {what}"))


@click.command("list")
@output.form_options
@click.pass_obj
def list_(ledger: Path, form: str | None) -> None:
    """List the rules that hold now, in the order in which they are asked.

    \b
    Examples:
      agent-ledger policy ledger.db list
    """
    with reading(ledger) as connection:
        columns = [row[1] for row in connection.execute("select * from pragma_table_info('rule_in_force')")]
        found = select(connection, "rule_in_force", {})
    if form is None:
        columns = [name for name in columns if name == "rule" or any(row[name] is not None for row in found)]
    output.show(found, columns, form, empty=f"{ledger} has no rules: agent-ledger policy {ledger} load FILE")


for _command in (load, list_):
    policy.add_command(_command)
