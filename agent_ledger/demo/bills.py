"""Northwind's bills: what AWS charged for what the tools touched, and what the model providers charged for tokens.

Prices are AWS's public ones of us-east-1, rounded; quantities follow from the tool calls, with others on the same
resources.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from agent_ledger import closing
from agent_ledger.allocation import allocate
from agent_ledger.bills import Deliveries
from agent_ledger.demo import company
from agent_ledger.demo.incidents import INVOICE_REQUEST
from agent_ledger.records import Charge

BILLED_UNTIL: Final = "2026-11-19"  # AWS is a day and a half late
CLOSED_AT: Final = "2026-11-05T08:00:00.000Z"
_RESTATED_AT: Final = "2026-11-09T04:10:00.000Z"
_ACCOUNT: Final = "111122223333"
_AWS: Final = f"aws {_ACCOUNT}"
_ARN: Final = f"us-east-1:{_ACCOUNT}"
_FORMATS: Final = {"aws": "cur", "anthropic": "anthropic-cost", "openai": "openai-costs"}
_MICRO: Final = Decimal("0.000001")

# service, usage type, unit, dollars per unit, by server
_METERS: Final = {
    "s3": ("AmazonS3", "Requests-Tier2", "Requests", Decimal("0.0000004")),
    "lambda": ("AWSLambda", "Lambda-GB-Second", "Lambda-GB-Second", Decimal("0.0000166667")),
    "bedrock": ("AmazonBedrock", "KnowledgeBase-Retrieve", "Requests", Decimal("0.0024")),
    "rds": ("AmazonRDS", "Aurora:ServerlessV2Usage", "ACU-Hr", Decimal("0.12")),
}
_BUCKETS: Final = (
    "northwind-invoices",
    "northwind-contracts",
    "northwind-ticket-attachments",
    "northwind-lake",
    "northwind-exports",
)
_TOUCHED: Final = """
  select substr(ts, 1, 10), server, operation, resource_id, sum(coalesce(units, 0))
  from audit
  where server in ('s3', 'lambda', 'bedrock', 'rds') and operation <> 'InvokeModel' and request_id <> ?
  group by 1, 2, 3, 4
  order by 1, 2, 3, 4
"""
_TOKENS: Final = """
  select substr(ts, 1, 10), provider, model, sum(cost_picos)
  from call_cost
  where provider in ('anthropic', 'openai', 'aws') and cost_picos is not null
  group by 1, 2, 3
  order by 1, 2, 3
"""


def deliver(connection: sqlite3.Connection) -> None:
    """Bring all bills in, as they came; October was closed on its first bill, which was corrected later."""
    lines = [*_cloud(connection), *_tokens(connection)]
    for month, came in (("2026-09", "2026-10-03"), ("2026-10", "2026-11-03")):
        some = [line for line in lines if line.period_start.startswith(month)]
        _store(connection, month, f"{came}T04:10:00.000Z", _first(some, month))
    allocate(connection)
    closing.close(connection, "2026-10", moment=CLOSED_AT)
    october = [line for line in lines if line.provider == "aws" and line.period_start.startswith("2026-10")]
    _store(connection, "2026-10 corrected", _RESTATED_AT, october)
    november = [line for line in lines if line.period_start.startswith("2026-11")]
    _store(connection, "2026-11", f"{BILLED_UNTIL}T04:10:00.000Z", november)
    allocate(connection)


def _first(lines: list[Charge], month: str) -> Iterable[Charge]:
    """October as it was billed at first: without the clusters' last two days, which AWS had not metered yet."""
    for line in lines:
        late = month == "2026-10" and line.service == "AmazonRDS" and line.period_start >= "2026-10-30"
        if not late:
            yield line


def _store(connection: sqlite3.Connection, name: str, recorded_at: str, lines: Iterable[Charge]) -> None:
    some = list(lines)
    for provider in sorted({line.provider for line in some}):
        theirs = [line for line in some if line.provider == provider]
        connection.executemany(
            "insert into delivery (recorded_at, format, bill, billing_period, content, name)"
            " values (?, ?, ?, ?, 'charges', ?)",
            sorted({(recorded_at, _FORMATS[provider], line.bill, line.billing_period, name) for line in theirs}),
        )
        Deliveries(connection, _FORMATS[provider], name).add(theirs)


def _line(day: str, number: str, service: str, cost: Decimal, **rest: object) -> Charge:
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    fields: dict[str, object] = {
        "bill": _AWS,
        "billing_period": day[:7],
        "period_start": f"{day}T00:00:00.000Z",
        "period_end": f"{following}T00:00:00.000Z",
        "provider": "aws",
        "account": _ACCOUNT,
        "service": service,
        "charge_id": f"{day}-{number}",
        "cost": cost,
        **rest,
    }
    return Charge(**fields)  # type: ignore[arg-type]


def _cloud(connection: sqlite3.Connection) -> Iterator[Charge]:
    rng = Random(f"{company.SEED} bills")
    for day, server, operation, resource, units in connection.execute(_TOUCHED, [INVOICE_REQUEST]).fetchall():
        if day >= BILLED_UNTIL:
            continue
        service, usage_type, unit, price = _METERS[server]
        # A cluster costs what its capacity does; everything else by use, and a little of that is not the agents'.
        used = (
            Decimal(96 + rng.randint(0, 40))
            if server == "rds"
            else Decimal(int(units * (1.0 + 0.1 * rng.random())) + 1)
        )
        yield _line(
            day,
            f"{server}-{resource.rpartition(':')[2]}-{operation}",
            service,
            (used * price).quantize(Decimal("0.0000000001")),
            resource_id=resource,
            operation=operation,
            usage_type=f"USE1-{usage_type}",
            quantity=used,
            unit=unit,
        )
    yield from _invoice()
    yield from _everybody(rng)


def _invoice() -> Iterator[Charge]:
    """$0.65 for the three resources that one request had to itself, in its hour."""
    hour: dict[str, Any] = {"period_start": "2026-10-20T09:00:00.000Z", "period_end": "2026-10-20T10:00:00.000Z"}
    for number, (service, resource, operation, usage_type, quantity, unit, cost) in enumerate(
        (
            ("AmazonS3", "northwind-invoices-acme", "GetObject", "DataTransfer-Out-Bytes", "0.2222", "GB", "0.02"),
            ("AmazonRDS", f"arn:aws:rds:{_ARN}:cluster:acme-ledger-aurora", "CreateDBInstance:0021",
             "Aurora:ServerlessV2Usage", "5.245", "ACU-Hr", "0.6294"),
            ("AWSLambda", f"arn:aws:lambda:{_ARN}:function:invoice-ocr-acme", "Invoke", "Lambda-GB-Second", "36",
             "Lambda-GB-Second", "0.0006"),
        )
    ):  # fmt: skip
        line = _line(
            "2026-10-20",
            f"invoice-4711-{number}",
            service,
            Decimal(cost),
            resource_id=resource,
            operation=operation,
            usage_type=f"USE1-{usage_type}",
            quantity=Decimal(quantity),
            unit=unit,
        )
        yield replace(line, **hour)


def _everybody(rng: Random) -> Iterator[Charge]:
    """What no single tool call causes: a network gateway, storage, support, tax, a credit."""
    day = date.fromisoformat(company.FIRST_DAY)
    while day.isoformat() < BILLED_UNTIL:
        yield _line(
            day.isoformat(),
            "nat",
            "AmazonEC2",
            Decimal("1.08"),
            resource_id=f"arn:aws:ec2:{_ARN}:natgateway/nat-0a1b2c3d4e5f60718",
            operation="NatGateway",
            usage_type="USE1-NatGateway-Hours",
            quantity=Decimal(24),
            unit="Hrs",
        )
        if day.day == 1:
            following = (day + timedelta(days=32)).replace(day=1)
            for line in _monthly(day.isoformat(), rng):
                yield replace(line, period_end=f"{following.isoformat()}T00:00:00.000Z")
        day += timedelta(days=1)


def _monthly(day: str, rng: Random) -> Iterator[Charge]:
    for bucket in _BUCKETS:
        size = Decimal(400 + rng.randint(0, 9000))
        yield _line(
            day,
            f"storage-{bucket}",
            "AmazonS3",
            (size * Decimal("0.023")).quantize(_MICRO),
            resource_id=bucket,
            operation="StandardStorage",
            usage_type="USE1-TimedStorage-ByteHrs",
            quantity=size,
            unit="GB-Mo",
        )
    yield _line(day, "support", "AWSSupportBusiness", Decimal(100), category="fee")
    yield _line(day, "tax", "AmazonS3", Decimal("18.42"), category="tax")
    yield _line(day, "credit", "AWSLambda", Decimal(-25), category="credit")


def _tokens(connection: sqlite3.Connection) -> Iterator[Charge]:
    """What the providers charged for tokens: a little more than the ledger knows of, as people try things by hand."""
    rng = Random(f"{company.SEED} invoices")
    for day, provider, model, picos in connection.execute(_TOKENS).fetchall():
        if day >= BILLED_UNTIL:
            continue
        by_hand = Decimal(rng.randint(0, 40)) / 10_000
        cost = (Decimal(picos) / 10**12 * (1 + by_hand)).quantize(_MICRO)
        if provider == "aws":
            yield _line(
                day,
                f"tokens-{model}",
                "AmazonBedrock",
                cost,
                kind="llm",
                model=model,
                usage_type="USE1-Claude5Sonnet-tokens",
            )
        else:
            line = _line(day, f"tokens-{model}", provider, cost, kind="llm", model=model, provider=provider)
            yield replace(line, bill=f"{provider} default", billing_period=day, account=None)
