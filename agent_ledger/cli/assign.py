"""`agent-ledger assign`."""

from __future__ import annotations

from pathlib import Path

import click

from agent_ledger import clock
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument, moment_option, text_option
from agent_ledger.cli.output import plain
from agent_ledger.ledger import Ledger


@click.command()
@ledger_argument
@click.argument("agent")
@text_option("--team", help="The team that pays.")
@text_option("--feature", help="The feature of the product, for calls that are not stamped with one.")
@text_option("--owner", help="Who answers for the agent.")
@moment_option(
    "--from", "valid_from", help="Since when (UTC).  [default: since ever for a new agent, else from today on]"
)
def assign(
    ledger: Path, agent: str, team: str | None, feature: str | None, owner: str | None, valid_from: str | None
) -> None:
    """Say to which team, feature and owner an agent belongs, from when on.

    What is not given stays as it was. Calls before that moment keep the assignment they had.

    \b
    Examples:
      agent-ledger assign ledger.db fraud-classifier --team risk --owner ana@example.com
      agent-ledger assign ledger.db fraud-classifier --team payments --from 2026-11-01
    """
    if team is None and feature is None and owner is None:
        raise usage_error("give --team, --feature or --owner")
    with Ledger(ledger) as book:
        held = book.assign(agent, team=team, feature=feature, owner=owner, valid_from=valid_from)
    since = "since ever" if held.valid_from == clock.BEGINNING else f"from {held.valid_from} on"
    named = {"team": held.team, "feature": held.feature, "owner": held.owner}
    belongs = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    click.echo(plain(f"{agent}: {belongs}, {since}"))
