"""`agent-ledger mcp`."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path

import click

from agent_ledger.cli.options import ledger_argument
from agent_ledger.ledger import Ledger, reading


@click.command()
@ledger_argument
@click.option("--allow-changes", is_flag=True, help="Add the tools that grant exceptions and lift directives.")
def mcp(ledger: Path, allow_changes: bool) -> None:
    """Serve budgets and decisions over MCP, on standard input and output.

    Agents and people look up an agent's owner, budgets, exceptions, spend and forecast, ask whether a call may be made,
    and why not. The server's own calls are audited in the ledger. Needs agent-cost-ledger[mcp].

    \b
    Examples:
      agent-ledger mcp ledger.db
      claude mcp add ledger -- agent-ledger mcp /srv/ledger.db
    """
    with reading(ledger):  # refuses what is no ledger, and makes none
        pass
    try:
        governance = import_module("agent_ledger.integrations.governance")
    except ImportError as error:
        raise click.ClickException(str(error)) from error
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    with Ledger(ledger) as book:
        governance.server(book, allow_changes=allow_changes).run(transport="stdio", show_banner=False)
