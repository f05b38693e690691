"""Did it work? After some calls, what was spent since is held against what was spent before, and against what the same
tokens would have cost on the model that was asked for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from agent_ledger import clock, repricing, summing
from agent_ledger.control.decide import mapped
from agent_ledger.control.detect import dollars
from agent_ledger.errors import LedgerError
from agent_ledger.records import Row

_TOLERATED: Final = 0.1  # of the calls may be otherwise: they were under way
_WORTH: Final = 0.9  # of what it would have cost: less than a tenth saved is no success
_SHORTEST: Final = timedelta(hours=1)  # that the spend before is measured over
# The file's own views, beside which temporary ones show the figures at other prices.
_ACTUAL: Final = replace(summing.CALLS, view="main.usage_cost", facts="main.call_part")

_WHOSE: Final = {
    "agent": "agent_id = :key",
    "team": "coalesce(team, '(unattributed)') = :key",
    "feature": "coalesce(feature, '(unattributed)') = :key",
    "customer": "coalesce(customer_id, '(unattributed)') = :key",
    "model": "model = :key",
    "everything": "true",
}
_BY_MODEL: Final = "select model, sum(calls) from ({rows}) where {whose} group by model order by sum(calls) desc, model"
_SUMS: Final = """
  select
    coalesce(sum(calls), 0) as calls,
    coalesce(sum(iif(cost_picos is null, calls, 0)), 0) as unpriced_calls,
    iif(count(cost_picos) = 0 and count(*) > 0, null, coalesce(
      sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12, 0
    )) as usd
  from ({rows}) where {whose}
"""
_COMPARED: Final = """
with before as ({before}), after as ({after}), instead as ({instead})
select
  before.calls as calls_before,
  before.usd as spent_before_usd,
  after.calls as calls,
  after.unpriced_calls,
  after.usd as spent_usd,
  instead.usd as original_model_usd,
  before.calls * :span / :span_before as expected_calls,
  before.usd * :span / :span_before as expected_usd,
  before.usd / :span_before * 3600 as before_usd_per_hour,
  after.usd / :span * 3600 as after_usd_per_hour,
  instead.usd - after.usd as saved_by_model_usd,
  before.usd * :span / :span_before - after.usd as saved_by_rate_usd
from before, after, instead
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an act worked, why, in a sentence, and the numbers that say so."""

    verdict: str  # worked, did not work or undecidable
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


def judge(
    connection: sqlite3.Connection,
    directive: Row,
    *,
    samples: int,
    until: str,
    ended: bool,
    another: Callable[[], sqlite3.Connection],
) -> Verdict | None:
    """The verdict on a throttle or a block, by what was spent from its start `until` a moment; None: too early to say.

    `ended`: nothing more will come, so it is now or never. `another` opens a connection for reading, where other prices
    can be laid over those of the file.
    """
    start = clock.millisecond_after(directive["valid_from"])  # a call of that very moment did not know of it
    if until <= start:
        return _too_few(0, samples) if ended else None
    span = _seconds(start, until)
    before = clock.timestamp(datetime.fromisoformat(start) - max(timedelta(seconds=span), _SHORTEST))
    models = _by_model(connection, directive, start, until)
    if not ended and directive["action"] == "throttle" and sum(models.values()) < samples:
        return None
    earlier = _by_model(connection, directive, before, start)
    original = _originals(directive, earlier, models)
    with closing(another()) as repriced:
        compared = _compared(repriced, directive, (before, start, until), original)
    numbers = {name: value for name, value in compared.items() if value is not None and "saved" not in name}
    numbers |= {"since": start, "until": until, "samples": samples}
    if directive["action"] == "block":
        told = _of_block(compared, samples, ended=ended)
    else:
        told = _of_throttle(compared, samples, _disobeyed(directive, models), original)
    return None if told is None else replace(told, numbers=numbers | told.numbers)


def _of_block(row: Row, samples: int, *, ended: bool) -> Verdict | None:
    expected = row["expected_calls"]
    if expected < samples:
        return _too_few(int(expected), samples, "would have come at the rate before") if ended else None
    if row["calls"] > _TOLERATED * expected:
        return Verdict(
            "did not work",
            f"{row['calls']} calls came all the same, of {expected:.0f} at the rate before: it is not obeyed",
        )
    saving = row["saved_by_rate_usd"]
    if saving is None:
        return Verdict("undecidable", "the calls stopped, but what those before it cost is not known")
    return Verdict(
        "worked",
        f"{row['calls']} calls came, where {expected:.0f} would have at the rate before; that saved {dollars(saving)}",
        {"saving_usd": saving},
    )


def _of_throttle(row: Row, samples: int, disobeyed: int, original: Mapping[str, str]) -> Verdict:
    calls = row["calls"]
    if calls < samples:
        return _too_few(calls, samples)
    if disobeyed > _TOLERATED * calls:
        return Verdict("did not work", f"{disobeyed} of {calls} calls still went to the larger model: it is not obeyed")
    spent, instead, expected = row["spent_usd"], row["original_model_usd"], row["expected_usd"]
    if row["unpriced_calls"] or spent is None:
        return Verdict("undecidable", f"{row['unpriced_calls']} of {calls} calls have no price")
    if not original or instead is None:
        return Verdict("undecidable", "which model the calls would have gone to, or what that costs, is not known")
    rates = f"the spend went from {_rate(row['before_usd_per_hour'])} to {_rate(row['after_usd_per_hour'])} per hour"
    models = " and ".join(sorted(set(original.values())))
    cost = f"{calls} calls cost {dollars(spent)}, and would have cost {dollars(instead)} on {models}"
    numbers = {"saving_usd": row["saved_by_model_usd"], "original_models": dict(original)}
    if spent > _WORTH * instead:
        return Verdict("did not work", f"{cost}, which is no saving", numbers)
    if expected is not None and row["calls_before"] and spent > expected:
        return Verdict("did not work", f"{cost}, but the curve did not flatten: {rates}", numbers)
    return Verdict("worked", f"{cost}: {dollars(row['saved_by_model_usd'])} saved; {rates}", numbers)


def _rate(usd: float | None) -> str:
    return "unknown" if usd is None else dollars(usd)


def _too_few(calls: int, samples: int, what: str = "came") -> Verdict:
    return Verdict("undecidable", f"{calls} calls {what}, and {samples} are needed to say")


def _by_model(connection: sqlite3.Connection, directive: Row, since: str, until: str) -> dict[str, int]:
    rows = summing.rows(connection, summing.CALLS, since, until, by_customer=directive["scope"] == "customer")
    sql = _BY_MODEL.format(rows=rows, whose=_WHOSE[directive["scope"]])
    return {row[0]: row[1] for row in connection.execute(sql, {"key": directive["key"]})}


def _compared(
    connection: sqlite3.Connection, directive: Row, moments: tuple[str, str, str], original: Mapping[str, str]
) -> Row:
    before, start, until = moments
    by_customer, whose = directive["scope"] == "customer", _WHOSE[directive["scope"]]
    priced = _laid(connection, original)
    source = summing.CALLS if priced else _ACTUAL
    parts = {
        name: _SUMS.format(rows=summing.rows(connection, one, since, to, by_customer=by_customer), whose=whose)
        for name, one, since, to in (
            ("before", _ACTUAL, before, start),
            ("after", _ACTUAL, start, until),
            ("instead", source, start, until),
        )
    }
    spans = {"span": _seconds(start, until), "span_before": _seconds(before, start)}
    found = connection.execute(_COMPARED.format(**parts), {"key": directive["key"], **spans})
    row: Row = dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))
    return row if priced else row | {"original_model_usd": None, "saved_by_model_usd": None}


def _laid(connection: sqlite3.Connection, original: Mapping[str, str]) -> bool:
    """Let the connection's views price calls of the smaller models like those of the models that were asked for."""
    if not original:
        return False
    try:
        repricing.lay(connection, original, ())
    except LedgerError:  # no price is known
        return False
    return True


def _originals(directive: Row, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, str]:
    """The smaller models that answered, and for each the model that most calls before went to in its place."""
    if directive["action"] != "throttle":
        return {}
    found: dict[str, str] = {}
    for model in before:  # those of most calls first
        target = mapped(model, directive["throttle_to"])
        if target is None or _is_variant(model, target):
            continue
        for answered in after:
            if _is_variant(answered, target):
                found.setdefault(answered, model)
    return found


def _disobeyed(directive: Row, after: Mapping[str, int]) -> int:
    """How many calls went to models that the directive maps to another."""
    targets = {model: mapped(model, directive["throttle_to"]) for model in after}
    allowed = set(filter(None, targets.values()))
    return sum(
        after[model]
        for model, target in targets.items()
        if target is not None and not any(_is_variant(model, one) for one in allowed)
    )


def _is_variant(model: str, name: str) -> bool:
    """Providers answer with the dated name of an alias: claude-haiku-4-5-20251001 for claude-haiku-4-5."""
    return model == name or re.fullmatch(rf"{re.escape(name)}[-@]\d[\d-]*", model) is not None


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def of_notice(deliveries: Iterable[Row]) -> Verdict | None:
    """The verdict on an act that only tells somebody; None: it is still being delivered."""
    rows = list(deliveries)
    told = [row["notifier"] for row in rows if row["delivered_at"] is not None]
    if told:
        return Verdict("worked", f"delivered by {', '.join(told)}")
    if not rows:
        return Verdict("undecidable", "nobody was told: no notifier has an address")
    if any(row["due_at"] is not None for row in rows):
        return None
    return Verdict("did not work", f"{', '.join(row['notifier'] for row in rows)} could not deliver it")
