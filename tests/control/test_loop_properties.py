"""What the loop promises over any history of spend, exceptions, disobedience and ticks at odd times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from closed_loop import AGENT, HAIKU, MAPPING, SONNET, Company, day
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import naive_cost, query, temporary_ledger

from agent_ledger import plugins

pytestmark = pytest.mark.usefixtures("no_sources")

steps = st.one_of(
    st.tuples(st.just("work"), st.integers(1, 30), st.booleans()),  # calls, and whether directives are obeyed
    st.tuples(st.just("wait"), st.integers(1, 40), st.just(None)),  # hours
    st.tuples(st.just("grant"), st.integers(1, 72), st.just(None)),  # hours
    st.tuples(st.just("tick"), st.just(0), st.just(None)),
    st.tuples(st.just("back"), st.integers(1, 30), st.just(None)),  # hours
)


class Channel:
    """A notifier that remembers what it was given."""

    name = "channel"

    def __init__(self) -> None:
        self.ids: list[str] = []

    def notify(self, message: Any) -> None:
        self.ids.append(message.id)


def play(company: Company, name: str, history: list[tuple[str, int, bool | None]]) -> None:
    for step, number, obeys in history:
        if step == "work":
            company.work(company.now + number * timedelta(minutes=20), every=timedelta(minutes=20), obeys=bool(obeys))
        elif step == "wait":
            company.set_clock(company.now + timedelta(hours=number))
        elif step == "back":
            company.set_clock(max(day(1), company.now - timedelta(hours=number)))
        elif step == "grant":
            company.grant(name, company.now + timedelta(hours=number))
        company.tick()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(steps, max_size=14), st.sampled_from(["notify", "throttle", "block"]), st.sampled_from(["day", "month"])
)
def test_what_always_holds(history: list[tuple[str, int, bool | None]], on_breach: str, period: str) -> None:
    with temporary_ledger() as ledger, pytest.MonkeyPatch.context() as patch:
        channel = Channel()
        patch.setattr(plugins, "notifiers", lambda: {"channel": channel})
        company = Company(ledger)
        name = company.budget(limit="0.90", period=period, on_breach=on_breach, throttle_to=MAPPING)
        play(company, name, history)
        totals = ledger.rows("cost_by_model")
        company.set_clock(day(64))
        for _ in range(2):
            company.tick()

        # No directive without a breach, and none while an exception holds.
        for valid_from, action, found in query(
            ledger,
            "select directive.valid_from, action, json_extract(detected.detail, '$.used_share') from directive"
            " join control_event as decided on decided.id = directive.event_id"
            " left join control_event as detected on detected.id = decided.cause and detected.phase = 'detect'",
        ):
            if action == "lift":
                continue
            assert found is None or found >= 1  # None: it follows from a verdict
            granted = "select 1 from budget_exception where valid_from <= ? and valid_until > ?"
            assert not query(ledger, granted, valid_from, valid_from)
        # Nobody is told twice, and of each act.
        assert len(channel.ids) == len(set(channel.ids)) == len(ledger.rows("control_event", phase="act"))
        # Every act has one verdict.
        judged = query(
            ledger,
            "select act.id, count(seen.id) from control_event as act"
            " left join control_event as seen on seen.cause = act.id and seen.phase = 'verify'"
            " where act.phase = 'act' group by act.id",
        )
        assert all(count == 1 for _, count in judged)
        # Each event but a detect has a cause, and all that stands in the end was lifted.
        assert not query(ledger, "select 1 from control_event where phase <> 'detect' and cause is null")
        assert ledger.rows("directive_in_force") == []
        # Totals are untouched, and what the oracle says.
        assert ledger.rows("cost_by_model") == totals
        costs = {row["id"]: row["model"] for row in ledger.rows("ledger")}
        for model in (SONNET, HAIKU):
            said = sum(row["cost_usd"] for row in totals if row["model"] == model)
            assert said == pytest.approx(sum(p or 0 for i, p in naive_cost(ledger).items() if costs[i] == model) / 1e12)
        assert {row["agent_id"] for row in ledger.rows("ledger")} <= {AGENT}
        company.close()
