"""What may be said about budgets, and the sentence where something may not."""

from __future__ import annotations

from typing import Any

import pytest
from closed_loop import govern
from support import raw

from agent_ledger import InvalidRecord, Ledger, LedgerError

NOW = "2026-11-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("scope", {"scope": "planet"}),
        ("key", {"key": " "}),
        ("period", {"period": "year"}),
        ("zone", {"zone": "Mars/Olympus"}),
        ("zone", {"zone": "America"}),
        ("basis", {"basis": "gross"}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": "a lot"}),
        ("limit", {"limit": "0.0000001"}),
        ("limit", {"limit": None}),
        ("limit", {"tokens": 5}),
        ("limit_tokens", {"limit": None, "tokens": 0}),
        ("basis", {"limit": None, "tokens": 5, "basis": "all-in"}),
        ("basis", {"scope": "model", "basis": "all-in"}),
        ("currency", {"currency": "eur"}),
        ("on_breach", {"on_breach": "shout"}),
        ("throttle_to", {"on_breach": "throttle"}),
        ("throttle_to", {"throttle_to": {}}),
        ("throttle_to", {"throttle_to": {"a": ""}}),
        ("steps", {"steps": [0]}),
        ("steps", {"steps": ["50"]}),
        ("hard_percent", {"hard_percent": 99}),
        ("tier", {"tier": ""}),
        ("valid_from", {"valid_from": "soon"}),
    ],
)
def test_what_is_refused_is_named_and_nothing_is_stored(ledger: Ledger, field: str, changes: dict[str, Any]) -> None:
    given = {"scope": "agent", "key": "a", "period": "month", "limit": 1, **changes}
    with pytest.raises(InvalidRecord) as refused:
        ledger.set_budget(given.pop("scope"), given.pop("key"), **given)
    assert refused.value.field == field
    assert ledger.rows("budget") == []


def test_names_say_whose_and_per_what(ledger: Ledger) -> None:
    assert ledger.set_budget("agent", "a", period="day", limit=1) == "agent a per day"
    assert ledger.set_budget("team", "a", period="week", tokens=1) == "team a per week tokens"
    assert ledger.set_budget("everything", period="month", limit=1, basis="all-in") == "everything per month all-in"
    assert ledger.set_budget("model", "m", period="day", limit=1, name="mine") == "mine"


def test_one_model_takes_the_place_of_all(ledger: Ledger) -> None:
    ledger.set_budget("agent", "a", period="day", limit=1, on_breach="throttle", throttle_to="small")
    assert ledger.rows("budget")[0]["throttle_to"] == '{"*": "small"}'


def test_a_budget_that_is_ended_can_be_set_again(ledger: Ledger) -> None:
    name = ledger.set_budget("agent", "a", period="day", limit=1)
    ledger.end_budget(name, reason="not needed")
    assert ledger.rows("budget_in_force") == []
    with pytest.raises(LedgerError, match="there is no budget 'agent a per day': there are agent a per day"):
        ledger.end_budget(name)
    ledger.set_budget("agent", "a", period="day", limit=2)
    assert [row["limit_amount"] for row in ledger.rows("budget_in_force")] == [2.0]


def test_exceptions_are_for_budgets_that_are_there_and_end_later_than_they_begin(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="there is no budget 'x': there are none yet"):
        ledger.grant_exception("x", until="2999-01-01", granted_by="ana")
    name = ledger.set_budget("agent", "a", period="day", limit=1)
    with pytest.raises(InvalidRecord, match="valid_until"):
        ledger.grant_exception(name, until="2020-01-01", granted_by="ana")
    with pytest.raises(InvalidRecord, match="granted_by"):
        ledger.grant_exception(name, until="2999-01-01", granted_by="")
    granted = ledger.grant_exception(name, until="2999-01-01", granted_by="ana")
    ledger.revoke_exception(granted, granted_by="bob")
    with pytest.raises(LedgerError, match=f"no exception {granted} holds"):
        ledger.revoke_exception(granted, granted_by="bob")


@pytest.mark.parametrize("table", ["budget", "budget_exception", "policy_rule", "control_event", "directive"])
def test_nothing_is_ever_changed_or_removed(ledger: Ledger, table: str) -> None:
    with raw(ledger) as connection:
        govern(connection)
        for statement in (
            f"delete from {table}",
            f"update {table} set id = 99",
            f"replace into {table} select * from {table}",
        ):
            with pytest.raises(Exception, match=r"never|record"):
                connection.execute(statement)
