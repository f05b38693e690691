"""`agent-ledger record`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agent_ledger import clock
from agent_ledger.cli.options import ledger_argument
from agent_ledger.cli.output import plain
from agent_ledger.ledger import Ledger
from agent_ledger.recording import CALLS
from agent_ledger.validation import EVIDENCE

_UNKNOWN = "unknown"


def _tokens(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == _UNKNOWN:
        return None
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: give a whole number, or {_UNKNOWN}", ctx, param) from None


def _usage(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, int | float] | None:
    units: dict[str, int | float] = {}
    for pair in value:
        unit, _, number = pair.partition("=")
        try:
            count = float(number)
        except ValueError:
            raise click.BadParameter(f"{pair!r}: give UNIT=NUMBER, such as input_audio_tokens=12", ctx, param) from None
        units[unit] = int(count) if math.isfinite(count) and count == int(count) else count
    return units or None


@click.command()
@ledger_argument
@click.option("--agent-id", required=True, help="Who made the call.")
@click.option("--request-id", help="The runtime's id of the request, on which tool calls join.  [default: a new one]")
@click.option("--model", required=True, help="The model that answered, as the provider names it.")
@click.option(
    "--prompt-tokens",
    required=True,
    metavar="N",
    callback=_tokens,
    help="All input tokens, cache reads and writes included; “unknown” where the provider did not say.",
)
@click.option(
    "--completion-tokens",
    required=True,
    metavar="N",
    callback=_tokens,
    help="All output tokens, reasoning included; “unknown” where the provider did not say.",
)
@click.option("--provider", help="Who runs the model: anthropic, openai, google, aws, …; prices depend on it.")
@click.option("--customer-id", help="On whose behalf the call was made.")
@click.option("--session-id", help="The session or conversation.")
@click.option("--feature", help="The product's feature.  [default: that of the agent, see assign]")
@click.option("--ts", metavar="TIME", help="When the call was made, ISO 8601; UTC without an offset.  [default: now]")
@click.option("--cache-read-tokens", type=int, metavar="N", help="Part of the prompt tokens: read from the cache.")
@click.option("--cache-write-tokens", type=int, metavar="N", help="Part of the prompt tokens: written to the cache.")
@click.option("--cache-write-1h-tokens", type=int, metavar="N", help="Part of those: written for one hour.")
@click.option("--reasoning-tokens", type=int, metavar="N", help="Part of the completion tokens.")
@click.option("--web-search-requests", type=int, metavar="N", help="Web searches that are billed per request.")
@click.option("--service-tier", help="As served: batch, flex, priority, fast, ….  [default: standard]")
@click.option("--region", help="Where a price depends on it.")
@click.option("--response-id", help="The provider's id of the response: msg_…, chatcmpl-…, resp_….")
@click.option("--part", type=int, default=0, show_default=True, help="Which inference of a response with several.")
@click.option(
    "--tier-tokens",
    type=int,
    metavar="N",
    help="Input tokens that select the long-context price.  [default: the prompt tokens]",
)
@click.option(
    "--evidence", type=click.Choice(EVIDENCE), default="manual", show_default=True, help="How the counts came here."
)
@click.option("--reported-cost-usd", type=float, metavar="USD", help="What the provider says it charged.")
@click.option("--anomaly", metavar="TEXT", help="What does not add up in the provider's counts.")
@click.option(
    "--usage",
    multiple=True,
    metavar="UNIT=N",
    callback=_usage,
    help="Another billed unit, such as input_audio_tokens=12. May be repeated.",
)
def record(ledger: Path, request_id: str | None, **fields: Any) -> None:
    """Record one LLM call.

    Tokens are recorded, never money: what a call costs follows from the prices in force at its time. Recording the same
    call again changes nothing. The ledger file is made where there is none.

    \b
    Examples:
      agent-ledger record ledger.db --agent-id support-bot --model claude-sonnet-4-5 \\
          --provider anthropic --prompt-tokens 1200 --completion-tokens 300
      agent-ledger record ledger.db --agent-id support-bot --request-id req_7 --model gpt-5 \\
          --prompt-tokens 900 --cache-read-tokens 512 --completion-tokens 80 --customer-id acme
    """
    request_id = f"req_{clock.sortable_id()}" if request_id is None else request_id
    CALLS.row({"request_id": request_id, **fields})  # refuses bad values before a file is made for them
    with Ledger(ledger) as book:
        added = book.record_call(request_id=request_id, **fields)
        conflicts = added and book.rows("request_conflicts", kind="llm", request_id=request_id)
    click.echo(plain(f"recorded {request_id}" if added else f"already there: {request_id}"))
    if conflicts:
        click.echo("another row says something else about this request, and one of them counts: see request_conflicts")
