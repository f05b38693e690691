"""From an agent's work to its rows: which requests it serves, and what each of them does.

Only `random`, `choices`, `randint` and `triangular` are drawn: they give the same numbers on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from agent_ledger import clock
from agent_ledger.demo import company
from agent_ledger.demo.company import Agent, Model, Tool, Work

Fields = dict[str, Any]

_MONTHS = {9: 0.55, 10: 1.0, 11: 0.74}
_WEEKDAYS = (1.0, 1.06, 1.1, 1.04, 0.9, 0.2, 0.16)  # from Monday
_OFFICE = tuple(accumulate((1, 1, 1, 1, 1, 2, 4, 9, 14, 16, 15, 13, 14, 18, 20, 20, 18, 15, 12, 9, 6, 4, 2, 2)))  # UTC
_NIGHT = tuple(accumulate((8, 12, 12, 10, 8, 6, 6, 5, 4, 2, *[0] * 12, 3, 5)))
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"
_ACTS_AT_THE_END = 0.05
_LONGEST_PROMPT = 1_000_000
_FAILS = 0.03
_BREAKS_OFF = 0.012
_NO_CUSTOMER = 0.04
_SAME_SESSION = 0.35


@dataclass(slots=True)
class Story:
    """The rows so far."""

    calls: list[Fields] = field(default_factory=list)
    tool_calls: list[Fields] = field(default_factory=list)


def work(agent: Agent, story: Story) -> None:
    """Everything that `agent` did from the first day to the last, but for incidents."""
    rng = Random(f"{company.SEED} {agent.name}")
    session = token(rng, "sess_", 10)
    for moment in requests(agent, rng):
        if rng.random() > _SAME_SESSION:
            session = token(rng, "sess_", 10)
        customer = None
        if agent.customers and rng.random() > _NO_CUSTOMER:
            customer = rng.choices(company.CUSTOMERS, cum_weights=company.CUSTOMER_WEIGHTS)[0]
        serve(agent, moment, token(rng, "req_", 12), customer, session, rng, story)


def requests(agent: Agent, rng: Random) -> Iterator[datetime]:
    """When `agent` was asked for something."""
    at_night = company.WORK[agent.work].at_night
    day = datetime.fromisoformat(company.FIRST_DAY).replace(tzinfo=UTC)
    last = datetime.fromisoformat(company.LAST_DAY).replace(tzinfo=UTC)
    while day <= last:
        busy = _MONTHS[day.month] * (0.8 if at_night else _WEEKDAYS[day.weekday()])
        expected = agent.requests * busy * (0.7 + 0.6 * rng.random())
        for _ in range(int(expected + rng.random())):
            hour = rng.choices(range(24), cum_weights=_NIGHT if at_night else _OFFICE)[0]
            yield day + timedelta(hours=hour, milliseconds=rng.randint(0, 3_599_999))
        day += timedelta(days=1)


def serve(
    agent: Agent, moment: datetime, request_id: str, customer: str | None, session: str, rng: Random, story: Story
) -> None:
    """One request: model calls one after the other, with tool calls between them."""
    kind, model = company.WORK[agent.work], company.MODELS[agent.model]
    prompt = between(rng, kind.prompt)
    steps = rng.randint(*kind.steps)
    for step in range(steps):
        output = between(rng, kind.output)
        call = inference(kind, model, prompt, output, step, rng)
        call |= {
            "ts": clock.timestamp(moment),
            "agent_id": agent.name,
            "request_id": request_id,
            "customer_id": customer,
            "session_id": session,
            "service_tier": agent.tier,
            "region": agent.region,
        }
        story.calls.append(call)
        moment += timedelta(milliseconds=1_500 + output * 12)
        if step + 1 < steps or rng.random() < _ACTS_AT_THE_END:
            tool = company.TOOLS[rng.choices(kind.tools)[0]]
            used = use(tool, agent.name, request_id, moment, rng)
            story.tool_calls.append(used)
            moment += timedelta(milliseconds=used["duration_ms"] + 40)
        prompt = min(prompt + output + rng.randint(200, max(400, prompt // 12)), _LONGEST_PROMPT)


def inference(kind: Work, model: Model, prompt: int, output: int, step: int, rng: Random) -> Fields:
    """One model call, without who made it and when."""
    call: Fields = {
        "model": model.name,
        "provider": model.provider,
        "response_id": token(rng, model.id_prefix, 16),
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "evidence": kind.evidence,
    }
    # A long prompt is in the cache once a step has written it; the share varies from call to call.
    share = kind.cached * (0.85 + 0.3 * rng.random())
    known = int(prompt * min(share, 0.97))
    warm = step > 0 or rng.random() < 0.3
    if model.caches == "writes":
        written = int((prompt - known) * 0.6) if warm else known
        call |= {"cache_read_tokens": known if warm else 0, "cache_write_tokens": written}
        call["cache_write_1h_tokens"] = written if kind.kept == "1h" else 0
    elif model.caches == "reads":
        call["cache_read_tokens"] = known // 128 * 128 if warm else 0
    if model.reasons:
        call["reasoning_tokens"] = int(output * (0.3 + 0.4 * rng.random()))
    if kind.searches[1]:
        call["web_search_requests"] = rng.randint(*kind.searches)
    if kind.evidence == "stream" and rng.random() < _BREAKS_OFF:
        call |= {"evidence": "partial", "completion_tokens": output // 3}
        call["reasoning_tokens"] = None
    return call


def use(tool: Tool, agent: str, request_id: str, moment: datetime, rng: Random) -> Fields:
    """One tool call."""
    failed = rng.random() < _FAILS
    return {
        "ts": clock.timestamp(moment),
        "request_id": request_id,
        "tool_call_id": token(rng, "toolu_", 14),
        "tool": tool.name,
        "server": tool.server,
        "agent_id": agent,
        "resource_id": rng.choices(tool.resources)[0] if tool.resources else None,
        "operation": tool.operation,
        "units": float(rng.randint(*tool.units)) if tool.unit and not failed else None,
        "unit": tool.unit if not failed else None,
        "duration_ms": between(rng, (*tool.milliseconds, tool.milliseconds[0] * 3)),
        "status": "error" if failed else "ok",
    }


def between(rng: Random, bounds: tuple[int, int, int]) -> int:
    low, high, usual = bounds
    return int(rng.triangular(low, high, usual))


def token(rng: Random, prefix: str, length: int) -> str:
    return prefix + "".join(rng.choices(_LETTERS, k=length))
