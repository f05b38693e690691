"""`agent-ledger loop`."""

from __future__ import annotations

import logging
import re
import signal
import threading
from dataclasses import asdict
from pathlib import Path

import click

from agent_ledger.cli import output
from agent_ledger.cli.errors import usage_error
from agent_ledger.cli.options import ledger_argument
from agent_ledger.cli.output import plain
from agent_ledger.control.loop import Tick
from agent_ledger.ledger import Ledger, reading

_UNITS = {"s": 1, "m": 60, "h": 3600}


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smh])", value.strip())
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r}: give a time such as 30s, 5m or 1h", ctx, param)
    return float(int(found[1]) * _UNITS[found[2]])


@click.command()
@ledger_argument
@click.option("--once", is_flag=True, help="Tick once and end, for cron.")
@click.option("--every", metavar="TIME", callback=_duration, help="Tick every 30s, 5m, 1h, … until stopped.")
@click.option("--dry-run", is_flag=True, help="Say what one tick would do, and why; nothing is written or sent.")
@output.json_option
def loop(ledger: Path, once: bool, every: float | None, dry_run: bool, form: str | None) -> None:
    """Hold spend against budgets: detect, decide, act, and verify that it worked.

    Steps, overruns, forecasts and unusual days are found; the policy decides; the runtime gets a directive, its owner a
    message (AGENT_LEDGER_SLACK_WEBHOOK_URL, AGENT_LEDGER_WEBHOOK_URL, …); some calls later it is judged whether that
    worked, and what it saved. All of it is in control_event. Only one runner at a time ticks; it may be killed at any
    moment, and ends after its tick on SIGTERM and SIGINT.

    \b
    Examples:
      agent-ledger loop ledger.db --dry-run
      agent-ledger loop ledger.db --once
      agent-ledger loop ledger.db --every 5m
    """
    if once + (every is not None) + dry_run != 1:
        raise usage_error("give one of --once, --every and --dry-run")
    with reading(ledger):
        pass  # a mistyped name is no new ledger
    with Ledger(ledger) as book:
        if every is None:
            _say(book.loop.tick(dry_run=dry_run), form, dry_run=dry_run)
            return
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        book.loop.run(every, stop)


def _say(tick: Tick, form: str | None, *, dry_run: bool) -> None:
    if form == "json":
        output.show_json(asdict(tick))
        return
    if tick.held_by is not None:
        click.echo(plain(f"nothing done: {tick.held_by} runs the loop already"), err=True)
        return
    for sentence in tick.told:
        click.echo(plain(sentence))
    events = f"{output.count(tick.events, 'event')} {'would be ' if dry_run else ''}recorded"
    click.echo(f"{tick.now}: {output.count(tick.budgets, 'budget')}, {output.count(tick.found, 'finding')}, {events}")
