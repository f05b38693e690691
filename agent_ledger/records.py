"""The facts, one frozen dataclass each. Field names are column names; what a column means stands in sql/tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What one model inference used: a row of `ledger` before anybody is named for it.

    `prompt_tokens` is all input, cache reads and writes included; `completion_tokens` all output, reasoning included.
    A count is None where the provider did not say; the parts are None too where they contradict the whole (then
    `anomaly` says so in a sentence). One response can hold several inferences; `part` numbers them from 0.
    """

    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    provider: str | None = None
    response_id: str | None = None
    part: int = 0
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None  # all of them, those of one hour included
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    web_search_requests: int | None = None
    service_tier: str | None = None  # as the provider says; "fast" for Anthropic's speed
    region: str | None = None
    tier_tokens: int | None = None  # what selects the long-context tier, where it is not prompt_tokens
    evidence: str = "response"
    reported_cost_usd: float | None = None
    anomaly: str | None = None
    usage: Mapping[str, int | float] | None = None  # other billed units, by genai-prices' name: input_audio_tokens, …


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Inference):
    """One row of `ledger`: an inference, who made it, and when.

    `request_id` None: one is made. `ts` None: now.
    """

    agent_id: str
    request_id: str | None = None
    ts: str | None = None
    customer_id: str | None = None
    session_id: str | None = None
    feature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One row of `audit`: a tool call, and what it touched.

    Arguments and results are never kept, only their sizes and digests.
    """

    tool: str
    request_id: str | None = None
    ts: str | None = None
    tool_call_id: str | None = None
    server: str | None = None
    agent_id: str | None = None
    resource_id: str | None = None
    operation: str | None = None
    units: float | None = None
    unit: str | None = None
    cost_usd: float | None = None
    duration_ms: int | None = None
    status: str | None = None
    error_type: str | None = None
    arguments_bytes: int | None = None
    arguments_digest: str | None = None
    result_bytes: int | None = None
    result_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRevision:
    """What one source says a model costs, over one interval: a row of `price_revision`.

    Prices are whole pico-dollars per token (requests: per request); None: the source has no separate price for that
    bucket. Rows of one source, model, service tier and region that were recorded together form one price list:
    a base row (`above_tokens` None) and the rows of its long-context bands, whose prices then hold for the whole
    request. A row with a `discount` has no prices of its own: it lowers
    by that share the price that would hold without it.
    """

    model: str  # exact, as it stands in the ledger; contract prices may use * and ?
    source: str
    provider: str | None = None  # as it stands in the ledger; None: any
    service_tier: str | None = None  # None: the standard tier
    region: str | None = None  # None: any without a row of its own
    effective_from: str | None = None  # None: since ever
    effective_to: str | None = None  # exclusive; None: open
    time_from: str | None = None  # "HH:MM" UTC, for prices that hold during a part of each day
    time_to: str | None = None  # exclusive, may be before time_from: the window then spans midnight
    above_tokens: int | None = None
    comparator: str = "gt"  # does the band start above the threshold ("gt") or at it ("ge")?
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    web_search: int | None = None
    request: int | None = None
    units: Mapping[str, int] | None = None  # pico-dollars per unit of `ledger.usage`
    discount: Decimal | None = None  # 0.15 is 15 % off
    source_model: str | None = None  # what the source calls the model
    basis: str | None = None  # how the row came about: "published", "0.5 x standard (batch)", …
    priority: int = 0  # of the source; the ledger fills it in
    recorded_at: str | None = None  # None: not yet in a ledger
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which team, feature and owner an agent belongs to from a moment on: a row of `agent_assignment`."""

    agent_id: str
    valid_from: str
    team: str | None = None
    feature: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What tells the deliveries of bills apart; see table `delivery`."""

    bill: str  # "aws 123412341234": the provider and the paying account
    billing_period: str  # YYYY-MM, or YYYY-MM-DD where a provider reports day by day
    period_start: str  # ledger timestamps, half-open
    period_end: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Delivered):
    """One line of a bill: a row of `charge`."""

    charge_id: str  # unique in its delivery
    cost: Decimal  # in `currency`; negative for credits
    currency: str = "USD"
    account: str | None = None
    service: str | None = None
    resource_id: str | None = None
    operation: str | None = None
    usage_type: str | None = None
    quantity: Decimal | None = None
    unit: str | None = None
    request_id: str | None = None
    invoice_id: str | None = None
    tags: Mapping[str, str] | None = None
    category: str = "usage"
    kind: str = "cloud"
    model: str | None = None
    token_type: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUsage(Delivered):
    """What a provider says was used in one bucket of time: a row of `provider_usage`."""

    usage_id: str  # unique in its delivery
    model: str | None = None
    service_tier: str | None = None
    account: str | None = None
    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    web_search_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A record of an imported file that could not be read, and why. `line` counts from 1; None: no lines there."""

    line: int | None
    reason: str


Fact = Call | ToolCall | Charge | ProviderUsage | Refused
Row = dict[str, Any]
