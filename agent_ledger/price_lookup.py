"""Asking the price sources, and storing their answers in a ledger that others write to meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from agent_ledger import clock, plugins, pricebook
from agent_ledger.connection import Writer
from agent_ledger.hookspecs import PriceSource

_log = logging.getLogger("agent_ledger")


def look_up_new(writer: Writer) -> None:
    """Look up prices for what the ledger has not seen before. Never raises: recording does not fail for a price."""
    try:
        with writer.lock():
            new = pricebook.keys(writer.live(), unresolved=True)
        if new:
            models = sorted({(key.provider, key.model) for key in new})
            for answer in look_up(writer, plugins.price_sources(), models):
                if answer.detail:
                    _log.warning("No price of %s from %s: %s", answer.model, answer.source, answer.detail)
    except Exception:
        _log.warning("The prices of new models could not be looked up; `agent-ledger check` lists them", exc_info=True)


def look_up(
    writer: Writer, sources: Sequence[PriceSource], models: Sequence[tuple[str, str]], *, everything: bool = False
) -> list[pricebook.Answer]:
    """Ask `sources` about `models`, given as (provider, model) with "" for no provider, and store what is new.

    `everything`: resolve all rates anew, not only those that are missing.
    """
    dated = {source.name: source.dated for source in sources}
    asked = pricebook.ask(sources, models)  # slow, so before the transaction
    with writer.transaction() as connection:
        now = clock.now()
        answers = [
            pricebook.store_answer(connection, answer, rows, dated=dated[answer.source], now=now)
            for answer, rows in asked
        ]
        unanswered = {(answer.provider, answer.model) for answer in answers if answer.detail}
        pricebook.rebuild(connection, pricebook.keys(connection, unresolved=not everything), now, unanswered)
    return answers
