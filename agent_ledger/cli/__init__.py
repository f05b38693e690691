"""The command `agent-ledger`: one file per command, and what plugins add."""

from __future__ import annotations

import click

from agent_ledger import plugins
from agent_ledger.cli.allocate import allocate
from agent_ledger.cli.assign import assign
from agent_ledger.cli.budget import budget
from agent_ledger.cli.check import check
from agent_ledger.cli.close import close
from agent_ledger.cli.compact import compact
from agent_ledger.cli.demo import demo
from agent_ledger.cli.errors import LedgerGroup
from agent_ledger.cli.export import export
from agent_ledger.cli.import_ import import_
from agent_ledger.cli.init import init
from agent_ledger.cli.loop import loop
from agent_ledger.cli.mcp import mcp
from agent_ledger.cli.policy import policy
from agent_ledger.cli.prices import prices
from agent_ledger.cli.rate import rate
from agent_ledger.cli.reconcile import reconcile
from agent_ledger.cli.record import record
from agent_ledger.cli.replay import replay
from agent_ledger.cli.report import report
from agent_ledger.cli.rows import rows
from agent_ledger.cli.rule import rule
from agent_ledger.cli.serve import serve
from agent_ledger.cli.share import share
from agent_ledger.cli.ship import ship
from agent_ledger.cli.show import show
from agent_ledger.cli.tool_price import tool_price
from agent_ledger.cli.views import views


@click.group(cls=LedgerGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "--version", package_name="agent-cost-ledger", prog_name="agent-ledger")
def cli() -> None:
    """Which agent spent the money? A SQLite ledger of LLM and tool calls, with cost computed at query time.

    Every command takes the ledger file first. Errors are one sentence; the exit code is 1 where problems were found or
    data was refused, and 2 where the command can't be understood or the file is not a ledger.

    Completion of commands, files, formats and time zones, for bash (zsh and fish alike):

    \b
      eval "$(_AGENT_LEDGER_COMPLETE=bash_source agent-ledger)"

    \b
    Examples:
      agent-ledger demo demo.db
      agent-ledger report demo.db --by agent
    """


for _command in (
    init,
    record,
    import_,
    assign,
    prices,
    tool_price,
    rule,
    rate,
    allocate,
    share,
    report,
    show,
    reconcile,
    close,
    budget,
    policy,
    loop,
    check,
    compact,
    replay,
    views,
    rows,
    export,
    ship,
    mcp,
    serve,
    demo,
):
    cli.add_command(_command)


def _add_commands_of_plugins() -> None:
    """One by one, so that a plugin that fails takes neither the others nor the command line with it."""
    try:
        offers = plugins.manager().hook.register_commands.get_hookimpls()
    except Exception as error:  # a plugin is somebody else's code
        _warn("a plugin", error)
        return
    for offer in offers:
        try:
            offer.function(cli=cli)
        except Exception as error:
            _warn(f"the plugin {offer.plugin_name}", error)


def _warn(who: str, error: Exception) -> None:
    click.echo(f"Warning: {who} can't be loaded ({type(error).__name__}: {error}): update it or remove it", err=True)


_add_commands_of_plugins()
