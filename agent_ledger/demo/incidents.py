"""What went wrong at Northwind, and the one request that the documentation follows to the cent."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from agent_ledger import clock
from agent_ledger.demo import company
from agent_ledger.demo.traffic import Fields, Story, between, token, use

RUNAWAY = "invoice-reconciler"
INVOICE_REQUEST: Final = "req_demo_invoice_4711"
_RUNAWAY_FROM = datetime(2026, 10, 22, 14, 7, tzinfo=UTC)
_RUNAWAY_UNTIL = datetime(2026, 10, 28, 12, 30, tzinfo=UTC)  # somebody came back from a long weekend
_AWS = "us-east-1:111122223333"


def happen(story: Story) -> None:
    _runaway(story)
    _invoice(story)
    _conflict(story)
    _broken_counts(story)
    _orphan(story)


def _runaway(story: Story) -> None:
    """A retry loop. The OCR function times out, the agent tries again with all it has seen so far, and a timestamp at
    the top of its prompt makes every attempt write the cache for an hour that no other ever reads."""
    rng = Random(f"{company.SEED} retry loop")
    moment = _RUNAWAY_FROM
    while moment < _RUNAWAY_UNTIL:
        request_id, session = token(rng, "req_", 12), token(rng, "sess_", 10)
        customer = rng.choices(company.CUSTOMERS, cum_weights=company.CUSTOMER_WEIGHTS)[0]
        prompt = between(rng, (580_000, 840_000, 720_000))
        for _ in range(rng.randint(8, 14)):
            output = between(rng, (2_000, 9_000, 4_000))
            story.calls.append(
                _opus(
                    moment,
                    request_id,
                    customer_id=customer,
                    session_id=session,
                    response_id=token(rng, "msg_01", 16),
                    prompt_tokens=prompt,
                    completion_tokens=output,
                    cache_read_tokens=0,
                    cache_write_tokens=prompt - 2_000,
                    cache_write_1h_tokens=prompt - 2_000,
                )
            )
            failed = use(company.TOOLS["ocr"], RUNAWAY, request_id, moment + timedelta(seconds=40), rng)
            failed |= {
                "status": "error",
                "duration_ms": 15_000,
                "units": 45.0,
                "unit": "Lambda-GB-Second",
            }  # billed too
            story.tool_calls.append(failed)
            moment += timedelta(seconds=rng.randint(160, 290))
            prompt = min(prompt + output + rng.randint(8_000, 30_000), 960_000)
        moment += timedelta(seconds=rng.randint(20, 600))


def _invoice(story: Story) -> None:
    """$1.20 for the model: $0.72 to read the invoice and $0.48 to reconcile it. The three tools touch resources of
    their own, so that whatever the cloud bills for those in this hour belongs to this request."""
    start = datetime(2026, 10, 20, 9, 14, 7, 120_000, tzinfo=UTC)
    known = {"customer_id": "acme", "session_id": "sess_demo_4711"}
    story.calls += [
        _opus(
            start,
            INVOICE_REQUEST,
            **known,
            response_id="msg_01DemoInvoice4711a",
            prompt_tokens=100_000,
            completion_tokens=4_000,
            cache_read_tokens=0,
            cache_write_tokens=96_000,
            cache_write_1h_tokens=0,
        ),
        _opus(
            start + timedelta(seconds=61),
            INVOICE_REQUEST,
            **known,
            response_id="msg_01DemoInvoice4711b",
            prompt_tokens=110_400,
            completion_tokens=14_400,
            cache_read_tokens=96_000,
            cache_write_tokens=0,
            cache_write_1h_tokens=0,
        ),
    ]
    touched: list[tuple[str, str, str, str, float, str, int]] = [
        ("s3", "get_object", "GetObject", "northwind-invoices-acme", 12, "Requests", 184),
        ("rds", "query", "Query", f"arn:aws:rds:{_AWS}:cluster:acme-ledger-aurora", 2_310, "rows", 1_420),
        (
            "lambda",
            "invoke",
            "Invoke",
            f"arn:aws:lambda:{_AWS}:function:invoice-ocr-acme",
            36,
            "Lambda-GB-Second",
            9_050,
        ),
    ]
    for number, (server, tool, operation, resource, units, unit, milliseconds) in enumerate(touched, 1):
        story.tool_calls.append(
            {
                "ts": clock.timestamp(start + timedelta(seconds=46 + 3 * number)),
                "request_id": INVOICE_REQUEST,
                "tool_call_id": f"toolu_demo_4711_{number}",
                "tool": tool,
                "server": server,
                "agent_id": RUNAWAY,
                "resource_id": resource,
                "operation": operation,
                "units": float(units),
                "unit": unit,
                "duration_ms": milliseconds,
                "status": "ok",
                "arguments_digest": hashlib.sha256(f"invoice 4711, {tool}".encode()).hexdigest(),
            }
        )


def _conflict(story: Story) -> None:
    """Two gateways told of the same response and do not agree."""
    for second, output in ((0, 6_210), (1, 9_874)):
        story.calls.append(
            {
                "ts": f"2026-11-04T10:22:1{second}.000Z",
                "agent_id": "redline-drafter",
                "request_id": "req_demo_conflict",
                "response_id": "resp_demo_conflict",
                "provider": "openai",
                "model": "gpt-5.6-sol",
                "customer_id": "globex",
                "prompt_tokens": 231_400,
                "completion_tokens": output,
                "evidence": "response",
            }
        )


def _broken_counts(story: Story) -> None:
    """A router whose counts contradict each other; what it says it charged counts then."""
    story.calls.append(
        {
            "ts": "2026-11-09T15:41:03.500Z",
            "agent_id": "proposal-writer",
            "request_id": "req_demo_router",
            "response_id": "gen-demo-router",
            "provider": "openrouter",
            "model": "anthropic/claude-sonnet-5",
            "customer_id": "initech",
            "prompt_tokens": 48_210,
            "completion_tokens": 3_105,
            "reported_cost_usd": 0.4127,
            "anomaly": "cached_tokens is 61204, more than the 48210 prompt_tokens it is part of",
            "evidence": "response",
        }
    )


def _orphan(story: Story) -> None:
    """A tool call whose model call nobody recorded."""
    story.tool_calls.append(
        {
            "ts": "2026-11-12T03:05:44.000Z",
            "request_id": "req_demo_never_recorded",
            "tool_call_id": "toolu_demo_orphan",
            "tool": "get_object",
            "server": "s3",
            "agent_id": "survey-coder",
            "resource_id": "northwind-lake",
            "operation": "GetObject",
            "units": 3.0,
            "unit": "Requests",
            "duration_ms": 212,
            "status": "ok",
        }
    )


def _opus(moment: datetime, request_id: str, **rest: str | int) -> Fields:
    return {
        "ts": clock.timestamp(moment),
        "agent_id": RUNAWAY,
        "request_id": request_id,
        "provider": "anthropic",
        "model": "claude-opus-5",
        "evidence": "response",
        **rest,
    }
