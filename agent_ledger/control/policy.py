"""What is done about what was found: rules as dated rows, or one TOML file that becomes such rows.

An exception comes first: then nothing is done. Then the rules, in their order: the first whose conditions all hold
decides. Without one, an exceeded budget is treated as it says itself (on_breach), a hard cap blocks, and of all else
somebody is told.
"""

from __future__ import annotations

import json
import sqlite3
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from agent_ledger import clock
from agent_ledger.control import asking, windows
from agent_ledger.control.budgets import SCOPES
from agent_ledger.control.detect import Finding
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Row
from agent_ledger.validation import check_text

ACTIONS: Final = ("nothing", "notify", "throttle", "block")
"""From the weakest to the strongest."""
FINDINGS: Final = ("step", "exceeded", "hard cap", "forecast", "anomaly", "incomplete")
SAMPLES: Final = 20
_BREACHES: Final = ("step", "exceeded", "hard cap")  # of a forecast or an odd day somebody is told, and no more
_CONDITIONS: Final = ("finding", "percent", "budget", "scope", "key", "team", "tier", "hours", "weekdays", "zone")
_KEYS: Final = ("name", *_CONDITIONS, "action", "throttle_to", "samples", "at_most")
_COLUMNS: Final = (
    *("priority", "finding", "percent", "budget", "scope", "key", "team", "tier", "time_from", "time_to", "weekdays"),
    *("zone", "action", "throttle_to", "samples", "at_most"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done, and why: `by` is the rule's name, or what else decided."""

    action: str
    by: str
    text: str
    throttle_to: str | None = None  # as in table directive
    samples: int = SAMPLES
    at_most: str = "block"


def decide(
    finding: Finding, rules: Sequence[Row], exceptions: Mapping[str, Row], teams: Mapping[str, str], now: str
) -> Decision:
    """What is done about a finding at `now`. `exceptions` by budget, `teams` by agent; `rules` in their order."""
    exception = exceptions.get(finding.budget or "")
    if exception is not None:
        granted = f"{exception['granted_by']} granted an exception until {exception['valid_until']}"
        because = f" ({exception['reason']})" if exception["reason"] else ""
        return Decision(
            action="nothing", by=f"exception {exception['exception_id']}", text=f"nothing: {granted}{because}"
        )
    for rule in rules:
        if _holds(rule, finding, teams, now):
            return _limited(finding, rule["action"], f"rule {rule['rule']}", rule)
    if finding.kind == "exceeded" and finding.status is not None:
        return _limited(finding, finding.status["on_breach"], "the budget itself", {})
    if finding.kind == "hard cap":
        return _limited(finding, "block", "the hard cap", {})
    return _limited(finding, "notify", "default", {})


def _limited(finding: Finding, action: str, by: str, rule: Mapping[str, Any]) -> Decision:
    status = finding.status or {}
    throttle_to = rule.get("throttle_to") or status.get("throttle_to")
    text = f"{action}, as {by} says"
    if action in ("throttle", "block") and finding.kind not in _BREACHES:
        action, text = "notify", f"notify: {by} says {action}, which is only done when a budget is overrun"
    elif action == "throttle" and throttle_to is None:
        action, text = "notify", f"notify: {by} says throttle, but names no model to use instead"
    return Decision(
        action=action,
        by=by,
        text=text,
        throttle_to=throttle_to if action == "throttle" else None,
        samples=rule.get("samples") or SAMPLES,
        at_most=rule.get("at_most") or "block",
    )


def _holds(rule: Row, finding: Finding, teams: Mapping[str, str], now: str) -> bool:
    status = finding.status or {}
    team = finding.key if finding.scope == "team" else teams.get(finding.key) if finding.scope == "agent" else None
    exact = {"finding": finding.kind, "percent": finding.percent, "scope": finding.scope, "team": team}
    exact["tier"] = status.get("tier")
    patterns = {"budget": finding.budget, "key": finding.key}
    return (
        all(rule[name] is None or rule[name] == value for name, value in exact.items())
        and all(rule[name] is None or fnmatchcase(value or "", rule[name]) for name, value in patterns.items())
        and _is_time(rule, now)
    )


def _is_time(rule: Row, now: str) -> bool:
    if rule["zone"] is None:
        return True
    local = datetime.fromisoformat(now).astimezone(ZoneInfo(rule["zone"]))
    shown, start, end = f"{local:%H:%M}", rule["time_from"], rule["time_to"]
    if start is not None and not (start <= shown < end if start < end else not end <= shown < start):
        return False
    return rule["weekdays"] is None or local.isoweekday() in json.loads(rule["weekdays"])


def models_of(throttle_to: str | None) -> dict[str, str]:
    """Model or pattern -> the model to use instead, as a row has it."""
    return dict(json.loads(throttle_to)) if throttle_to else {}


# -- rules as data ----------------------------------------------------------------------------------------------------


def rules_at(connection: sqlite3.Connection, now: str | None) -> list[Row]:
    """The rules that hold at `now`, in their order."""
    return sorted(asking.rows(connection, "rule_in_force", now), key=lambda row: (-row["priority"], -row["rule_id"]))


def read(path: Path) -> list[dict[str, Any]]:
    """The rules of a policy file. Raises LedgerError where it can't be read or is no TOML of rules."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise LedgerError(f"{path} is no TOML: {error}") from error
    rules = told.pop("rule", [])
    if told or not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        wrong = next(iter(told), "rule")
        raise LedgerError(f"{path} has {wrong!r}: a policy file holds tables [[rule]] and nothing else")
    return rules


def store(
    connection: sqlite3.Connection, rules: Sequence[Mapping[str, Any]], *, now: str, valid_from: object = None
) -> list[str]:
    """Let these rules hold from `valid_from` (None: now) on, in this order, and no others. Within a transaction.

    Returns the names of those that are new, changed or ended. Raises InvalidRecord.
    """
    try:
        start = now if valid_from is None else clock.parse(valid_from)
    except ValueError:
        raise InvalidRecord("valid_from", valid_from, "give a date such as 2026-11-30, or a time") from None
    rows = {str(rule.get("name")): _row(rule, len(rules) - place) for place, rule in enumerate(rules)}
    if len(rows) < len(rules):
        raise InvalidRecord("name", [rule.get("name") for rule in rules], "give each rule a name of its own")
    held = {
        row["rule"]: {column: row[column] for column in _COLUMNS}
        for row in asking.rows(connection, "rule_in_force", start)
    }
    changed = [name for name, row in rows.items() if held.get(name) != row]
    ended = [name for name in held if name not in rows]
    for name in changed + ended:
        values = {"name": name, "valid_from": start, "recorded_at": now, "event": "set", **(rows | held)[name]}
        values |= rows.get(name, {"event": "end"})
        columns = ", ".join(values)
        connection.execute(
            f"insert into policy_rule ({columns}) values ({', '.join('?' * len(values))})", list(values.values())
        )
    return changed + ended


def _row(rule: Mapping[str, Any], priority: int) -> dict[str, Any]:
    for name, value in rule.items():
        if name not in _KEYS:
            raise InvalidRecord(name, value, f"a rule has no such key: it has {', '.join(_KEYS)}")
    check_text("name", rule.get("name"))
    row = dict.fromkeys(_COLUMNS) | {"priority": priority}
    choices = {"finding": FINDINGS, "scope": SCOPES, "action": ACTIONS, "at_most": ACTIONS[1:]}
    for name, known in choices.items():
        if (name in rule or name == "action") and rule.get(name) not in known:
            raise InvalidRecord(name, rule.get(name), f"give one of {', '.join(known)}")
    for name in ("finding", "scope", "action", "at_most", "budget", "key", "team", "tier"):
        if name in rule:
            check_text(name, rule[name])
            row[name] = rule[name]
    for name in ("percent", "samples"):
        if name in rule:
            if isinstance(rule[name], bool) or not isinstance(rule[name], int) or not 0 < rule[name] <= 10**6:
                raise InvalidRecord(name, rule[name], "give a whole number above 0")
            row[name] = rule[name]
    return row | _times(rule) | _models(rule)


def _times(rule: Mapping[str, Any]) -> dict[str, Any]:
    hours, weekdays, zone = rule.get("hours"), rule.get("weekdays"), rule.get("zone")
    if hours is None and weekdays is None:
        if zone is not None:
            raise InvalidRecord("zone", zone, "it is for hours and weekdays: give one of them, or no zone")
        return {}
    windows.zone_of("UTC" if zone is None else str(zone))
    row: dict[str, Any] = {"zone": zone or "UTC"}
    if hours is not None:
        start, _, end = str(hours).partition("-")
        try:
            times = [f"{time.fromisoformat(one.strip()):%H:%M}" for one in (start, end)]
        except ValueError:
            times = ["", ""]
        if times[0] == times[1]:
            raise InvalidRecord("hours", hours, "give two times of the day such as 22:00-07:00")
        row |= {"time_from": times[0], "time_to": times[1]}
    if weekdays is not None:
        if not isinstance(weekdays, list) or not weekdays or not set(weekdays) <= set(range(1, 8)):
            raise InvalidRecord("weekdays", weekdays, "give a list of numbers from 1 (Monday) to 7 (Sunday)")
        row["weekdays"] = json.dumps(sorted(weekdays))
    return row


def _models(rule: Mapping[str, Any]) -> dict[str, Any]:
    told = rule.get("throttle_to")
    if told is None:
        return {}
    mapping = {"*": told} if isinstance(told, str) else told
    if not isinstance(mapping, dict) or not mapping:
        raise InvalidRecord("throttle_to", told, "give a model, or a table of models or patterns and models")
    for pattern, model in mapping.items():
        check_text("throttle_to", pattern)
        check_text("throttle_to", model)
    return {"throttle_to": json.dumps(mapping, ensure_ascii=False)}
