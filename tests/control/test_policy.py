"""Which rule decides, and what may be a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import raw

from agent_ledger import InvalidRecord, Ledger, LedgerError
from agent_ledger.control import policy
from agent_ledger.control.detect import Finding

NIGHT, NOON = "2026-11-14T22:30:00.000Z", "2026-11-13T12:00:00.000Z"  # a Saturday, a Friday
STATUS = {"budget": "agent a per day", "tier": "high", "on_breach": "throttle", "throttle_to": '{"*": "small"}'}


def finding(kind: str = "exceeded", **changes: Any) -> Finding:
    fields = {"scope": "agent", "key": "a", "text": "spent", "once": "x", "percent": 100, "status": STATUS, **changes}
    return Finding(kind=kind, **fields)


def decide(ledger: Ledger, found: Finding, *rules: dict[str, Any], now: str = NOON, **more: Any) -> policy.Decision:
    with raw(ledger) as connection:
        policy.store(connection, [{"name": str(number), **rule} for number, rule in enumerate(rules)], now=NOON)
        return policy.decide(found, policy.rules_at(connection, now), more.get("exceptions", {}), {"a": "risk"}, now)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("step", "notify"), ("exceeded", "throttle"), ("hard cap", "block"),
        ("forecast", "notify"), ("anomaly", "notify"), ("incomplete", "notify"),
    ],
)  # fmt: skip
def test_without_rules(ledger: Ledger, kind: str, action: str) -> None:
    assert decide(ledger, finding(kind)).action == action


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"finding": "exceeded"}, True),
        ({"finding": "step"}, False),
        ({"percent": 100}, True),
        ({"percent": 80}, False),
        ({"budget": "agent *"}, True),
        ({"budget": "team *"}, False),
        ({"scope": "agent", "key": "?"}, True),
        ({"key": "b"}, False),
        ({"team": "risk"}, True),
        ({"team": "sales"}, False),
        ({"tier": "high"}, True),
        ({"tier": "low"}, False),
        ({"hours": "11:00-13:00"}, True),
        ({"hours": "12:00-13:00", "zone": "Europe/Berlin"}, False),
        ({"hours": "13:00-12:00", "zone": "Europe/Berlin"}, True),
        ({"weekdays": [5]}, True),
        ({"weekdays": [6, 7]}, False),
    ],
)
def test_a_rule_decides_where_all_its_conditions_hold(ledger: Ledger, conditions: dict[str, Any], holds: bool) -> None:
    found = decide(ledger, finding(), {"action": "block", **conditions}, {"action": "nothing"})
    assert found.action == ("block" if holds else "nothing")


def test_quiet_hours_are_a_rule(ledger: Ledger) -> None:
    night = {"finding": "exceeded", "hours": "22:00-07:00", "action": "nothing"}
    assert decide(ledger, finding(), night, now=NOON).action == "throttle"
    assert decide(ledger, finding(), night, now=NIGHT).action == "nothing"


def test_an_exception_comes_before_every_rule(ledger: Ledger) -> None:
    granted = {"exception_id": 3, "granted_by": "ana", "valid_until": "2026-11-20", "reason": None}
    found = decide(ledger, finding(), {"action": "block"}, exceptions={STATUS["budget"]: granted})
    assert (found.action, found.by) == ("nothing", "exception 3")


def test_only_an_overrun_is_throttled_and_only_with_a_model(ledger: Ledger) -> None:
    assert decide(ledger, finding("forecast"), {"action": "block"}).action == "notify"
    assert decide(ledger, finding(status={**STATUS, "throttle_to": None}), {"action": "throttle"}).action == "notify"
    named = decide(
        ledger, finding("step"), {"action": "throttle", "throttle_to": "tiny", "samples": 3, "at_most": "throttle"}
    )
    assert (named.throttle_to, named.samples, named.at_most) == ('{"*": "tiny"}', 3, "throttle")


def test_a_file_becomes_rows_and_the_same_file_adds_none(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[[rule]]\nname = "night"\nhours = "22:00-07:00"\naction = "nothing"\n[[rule]]\nname = "b"\naction = "block"\n'
    )
    assert ledger.set_policy(policy.read(file)) == ["night", "b"]
    assert ledger.set_policy(policy.read(file)) == []
    assert ledger.set_policy([{"name": "b", "action": "block"}]) == ["night"]
    assert [row["rule"] for row in ledger.rows("rule_in_force")] == ["b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "is no TOML"),
        ("[rules]\n", "a policy file holds tables"),
        ("rule = 3\n", "a policy file holds tables"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(LedgerError, match=message):
        policy.read(file)
    with pytest.raises(LedgerError, match="can't be read"):
        policy.read(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("name", {"action": "notify", "name": ""}),
        ("action", {"action": "shout"}),
        ("action", {"action": None}),
        ("finding", {"finding": "panic"}),
        ("colour", {"colour": "red"}),
        ("percent", {"percent": 0}),
        ("samples", {"samples": True}),
        ("hours", {"hours": "late"}),
        ("hours", {"hours": "10:00-10:00"}),
        ("weekdays", {"weekdays": [0]}),
        ("zone", {"hours": "10:00-11:00", "zone": "Mars"}),
        ("zone", {"zone": "UTC"}),
        ("throttle_to", {"throttle_to": {}}),
        ("at_most", {"at_most": "nothing"}),
    ],
)
def test_a_rule_that_is_none_is_named_and_nothing_is_stored(ledger: Ledger, field: str, rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord) as refused:
        ledger.set_policy([{"name": "good", "action": "notify"}, {"name": "bad", "action": "notify", **rule}])
    assert refused.value.field == field
    assert ledger.rows("policy_rule") == []


def test_names_are_unique(ledger: Ledger) -> None:
    with pytest.raises(InvalidRecord, match="name"):
        ledger.set_policy([{"name": "a", "action": "notify"}] * 2)
