"""Calls, bills and usage reports, small enough to reconcile in one's head."""

from __future__ import annotations

from typing import Any

from support import add_charge, add_delivery, call, price, query, raw

from agent_ledger import Ledger

JANUARY = {"period_start": "2026-01-01T00:00:00.000Z", "period_end": "2026-02-01T00:00:00.000Z"}


def bill(ledger: Ledger, *lines: dict[str, Any], provider: str = "p", name: str = "first") -> None:
    """A bill for tokens: `cost` and what else a line says; of all January, unless the line says otherwise."""
    with raw(ledger) as connection:
        delivery = add_delivery(connection, name, bill=f"{provider} 1")
        for number, line in enumerate(lines):
            values = {"kind": "llm", "provider": provider, **JANUARY, **line}
            add_charge(connection, delivery, str(number), values.pop("cost"), **values)


def report(ledger: Ledger, tokens: dict[str | None, int], provider: str = "p", days: tuple[int, ...] = (15,),
           name: str = "first") -> None:  # fmt: skip
    """A usage report: so many input tokens for each model, on each of the days."""
    with raw(ledger) as connection:
        delivery = add_delivery(connection, name, format="usage", bill=f"{provider} 1", content="usage")
        connection.executemany(
            "insert into provider_usage (delivery_id, usage_id, period_start, period_end, provider, model,"
            " prompt_tokens, completion_tokens) values (?, ?, ?, ?, ?, ?, ?, 0)",
            [
                (delivery, f"{model} {day}", f"2026-01-{day:02}T00:00:00.000Z", f"2026-01-{day + 1:02}T00:00:00.000Z",
                 provider, model, count)
                for model, count in tokens.items() for day in days
            ],
        )  # fmt: skip


def priced(ledger: Ledger, **dollars: int) -> None:
    """A million tokens of each model cost so many dollars."""
    rows = [price(model, input=amount * 10**6, output=amount * 10**6) for model, amount in dollars.items()]
    ledger.set_prices(rows)


def used(ledger: Ledger, model: str = "m", millions: int = 1, **changes: Any) -> None:
    [(number,)] = query(ledger, "select count(*) from ledger")
    values = {"prompt_tokens": millions * 10**6, "completion_tokens": 0, "provider": "p", "model": model} | changes
    ledger.record_call(**call(request_id=f"r{number}", **values))
