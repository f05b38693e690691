"""Realistic LLM and tool calls by the million: the rows that generate.py loads, in chunks, from numpy.

The same seed and sizes give the same rows. What is realistic about them:

- Agents, customers and tools are used by Zipf's law; an agent has one to three models.
- Calls follow the hours and the days of the week and grow by half over the time; 1 % are recorded up to 3 days late.
- Request ids are like Anthropic's, which sort by time, or random UUIDs; response ids sort for Anthropic's models only.
- One call in a thousand was recorded again from a log, and does not count.
- There are caches, long contexts, batches, billed units, costs that providers report, and models that nobody prices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

CHUNK = 50_000
END = datetime(2026, 11, 1, tzinfo=UTC)

CALL_COLUMNS = (
    *("ts", "agent_id", "request_id", "prompt_tokens", "completion_tokens", "model", "provider", "customer_id"),
    *("feature", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"),
    *("web_search_requests", "service_tier", "response_id", "evidence", "reported_cost_usd", "anomaly", "usage"),
)
TOOL_CALL_COLUMNS = (
    *("ts", "request_id", "tool_call_id", "tool", "server", "agent_id", "resource_id", "operation", "units", "unit"),
    *("cost_usd", "duration_ms", "status", "error_type", "arguments_bytes", "arguments_digest", "result_bytes"),
    "result_digest",
)

# Model, provider, share of the agents' choices; the last one has no price anywhere.
_MODELS = (
    ("claude-sonnet-4-5", "anthropic", 30),
    ("claude-haiku-4-5", "anthropic", 20),
    ("gpt-5", "openai", 15),
    ("gpt-5-mini", "openai", 10),
    ("deepseek-chat", "deepseek", 9),  # cheaper at night
    ("claude-opus-4-5", "anthropic", 8),
    ("gemini-2.5-pro", "google", 8),  # dearer above 200,000 input tokens
    ("acme-7b-tuned", "acme", 0),
)
_NAMES = np.array([model for model, _, _ in _MODELS], object)
_PROVIDERS = np.array([provider for _, provider, _ in _MODELS], object)
_LONG = np.isin(_NAMES, ["claude-sonnet-4-5", "gemini-2.5-pro"])
_REASONS = np.isin(_NAMES, ["gpt-5", "gpt-5-mini", "gemini-2.5-pro"])
_CACHED = np.array([{"anthropic": 0.7, "openai": 0.4, "deepseek": 0.5, "google": 0.3}.get(p, 0) for p in _PROVIDERS])

_TOOLS = (
    *(("read_file", "files"), ("get_object", "storage"), ("query", "warehouse"), ("search_tickets", "tickets")),
    *(("put_object", "storage"), ("web_search", "web"), ("list_files", "files"), ("run_report", "warehouse")),
    *(("fetch_page", "web"), ("send_message", "chat"), ("list_objects", "storage"), ("get_ticket", "tickets")),
    *(("write_file", "files"), ("export_table", "warehouse"), ("add_comment", "tickets"), ("read_channel", "chat")),
    *(("copy_object", "storage"), ("describe_table", "warehouse"), ("delete_file", "files"), ("load", "warehouse")),
)
_TOOL_NAMES = np.array([tool for tool, _ in _TOOLS], object)
_SERVERS = np.array([server for _, server in _TOOLS], object)
_ON_RESOURCE = np.arange(len(_TOOLS)) % 3 == 1  # a third of the calls, as often as they are used

_BASE_62 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Chunk:
    """Rows in the order of recording: values by column, as SQLite takes them."""

    calls: tuple[list[Any], ...]
    tool_calls: tuple[list[Any], ...]
    superseded: list[tuple[int, int]]  # a row that does not count, and the one that counts instead
    keys: set[tuple[str, str, str]]  # model, provider, service tier


@dataclass(frozen=True)
class Traffic:
    """`customers` 0: no call names one. `audit_share`: tool calls per LLM call."""

    rows: int
    agents: int = 47
    customers: int = 2000
    days: int = 90
    seed: int = 1
    audit_share: float = 0.2
    response_ids: bool = True

    @property
    def start(self) -> datetime:
        return END - timedelta(days=self.days)

    def agent_names(self) -> list[str]:
        return [f"agent-{n:03d}" for n in range(self.agents)]

    def chunks(self) -> Iterator[Chunk]:
        for first in range(0, self.rows, CHUNK):
            yield self._chunk(first, min(CHUNK, self.rows - first))

    @cached_property
    def _clock(self) -> tuple[np.ndarray, np.ndarray]:
        """How much of the traffic has passed at the beginning of each hour, in milliseconds since 1970."""
        hours = np.arange(self.days * 24)
        at, day = hours % 24, (hours // 24 + self.start.weekday()) % 7
        load = 0.25 + np.exp(-(((at - 13.5) / 4.5) ** 2))
        load *= np.array([1.0, 1.05, 1.1, 1.05, 0.95, 0.4, 0.35])[day] * (1 + hours / len(hours) / 2)
        passed = np.concatenate([[0.0], np.cumsum(load)])
        begin = int((self.start - _EPOCH).total_seconds() * 1000)
        return passed / passed[-1], begin + np.arange(len(hours) + 1) * 3_600_000.0

    @cached_property
    def _models_of_agents(self) -> tuple[np.ndarray, np.ndarray]:
        """Three models of each agent, and up to which of a uniform number each is chosen."""
        rng = np.random.default_rng([self.seed, 10**9])
        weights = np.array([weight for _, _, weight in _MODELS]) / sum(weight for _, _, weight in _MODELS)
        models = np.array([rng.choice(len(_MODELS), 3, replace=False, p=weights) for _ in range(self.agents)])
        shares = np.array([[1.0, 1.0, 1.0], [0.8, 1.0, 1.0], [0.7, 0.9, 1.0]])
        return models, shares[rng.integers(0, 3, self.agents)]

    @cached_property
    def _names(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Agents, the features that their own code stamps, customers (the last one: nobody)."""
        stamped = [f"feature-{n % 6}" if n % 11 == 5 else None for n in range(self.agents)]
        customers = [*(f"customer-{n:05d}" for n in range(self.customers)), None]
        return np.array(self.agent_names(), object), np.array(stamped, object), np.array(customers, object)

    def _chunk(self, first: int, count: int) -> Chunk:
        rng = np.random.default_rng([self.seed, first])
        # Where a row is another account of an earlier one, that one; else itself.
        origin = np.arange(count)
        again = np.flatnonzero(rng.random(count) < 0.001)
        again = again[again > 1000]
        earlier = again - rng.integers(1, 1000, len(again))
        fresh = ~np.isin(earlier, again)
        again, earlier = again[fresh], earlier[fresh]
        origin[again] = earlier

        moment = np.interp((first + np.arange(count) + rng.random(count)) / self.rows, *self._clock)
        late = rng.random(count) < 0.01
        moment -= late * rng.random(count) * 3 * _DAY_MS
        moment = np.maximum(moment, self._clock[1][0]).astype(np.int64)[origin]
        agent = _zipf(rng, self.agents, count)[origin]
        request = _request_ids(rng, moment)[origin]
        calls, keys = self._calls(rng, moment, agent, request, origin)
        calls["evidence"][again] = "log"
        return Chunk(
            calls=tuple(calls[column].tolist() for column in CALL_COLUMNS),
            tool_calls=self._tool_calls(rng, first, moment, agent, request),
            superseded=list(zip((first + again + 1).tolist(), (first + earlier + 1).tolist(), strict=True)),
            keys=keys,
        )

    def _calls(
        self, rng: np.random.Generator, moment: np.ndarray, agent: np.ndarray, request: np.ndarray, origin: np.ndarray
    ) -> tuple[dict[str, np.ndarray], set[tuple[str, str, str]]]:
        count = len(moment)
        models, upto = self._models_of_agents
        model = models[agent, (rng.random(count)[:, None] >= upto[agent]).sum(1)]
        model[rng.random(count) < 0.002] = len(_MODELS) - 1
        model = model[origin]
        agents, stamped, customers = self._names
        customer = _zipf(rng, self.customers, count) if self.customers else np.zeros(count, np.int64)
        customer[rng.random(count) < 0.1] = self.customers
        anthropic, openai = _PROVIDERS[model] == "anthropic", _PROVIDERS[model] == "openai"
        batch = (rng.random(count) < 0.025)[origin] & (anthropic | openai)
        calls = {
            "ts": _texts(_timestamps(moment)),
            "agent_id": agents[agent],
            "request_id": request,
            "model": _NAMES[model],
            "provider": _PROVIDERS[model],
            "customer_id": customers[customer[origin]],
            "feature": stamped[agent],
            "service_tier": np.where(batch, "batch", None),
            "response_id": np.full(count, None),
            "evidence": np.full(count, "response", object),
            **_counts(rng, model, anthropic, origin),
        }
        if self.response_ids:
            calls["response_id"] = np.where(
                anthropic, _texts(_sortable(rng, b"msg_011C", moment)), _texts(_ids(rng, b"msg_01", 22, count))
            )[origin]
        rare = rng.random(count)[origin]
        dollars = np.round(calls["prompt_tokens"] * 3e-6 + calls["completion_tokens"] * 1.5e-5, 6)
        calls["reported_cost_usd"] = np.where(rare < 0.001, dollars, None)
        calls["anomaly"] = np.where(rare < 0.0005, "the cached tokens are more than the prompt", None)
        calls["usage"] = np.full(count, None)
        for row in np.flatnonzero(rare > 0.995):
            calls["usage"][row] = f'{{"input_audio_tokens": {int(rare[row] * 1e9) % 2000}}}'
        pairs = np.unique(model * 2 + batch)
        keys = {(_NAMES[pair // 2], _PROVIDERS[pair // 2], "batch" if pair % 2 else "") for pair in pairs}
        return calls, keys

    def _tool_calls(
        self, rng: np.random.Generator, first: int, moment: np.ndarray, agent: np.ndarray, request: np.ndarray
    ) -> tuple[list[Any], ...]:
        count = int((first + len(moment)) * self.audit_share) - int(first * self.audit_share)
        call = np.sort(rng.integers(0, len(moment), count))
        tool = _zipf(rng, len(_TOOLS), count)
        touches = _ON_RESOURCE[tool]
        size = np.exp(rng.normal(8, 2, count)).astype(np.int64)
        fails = rng.random(count) < 0.03
        agents = self._names[0]
        rows = {
            "ts": _texts(_timestamps(moment[call] + rng.integers(200, 30_000, count))),
            "request_id": request[call],
            "tool_call_id": _texts(_ids(rng, b"toolu_01", 22, count)),
            "tool": _TOOL_NAMES[tool],
            "server": _SERVERS[tool],
            "agent_id": np.where(rng.random(count) < 0.7, agents[agent[call]], None),
            "resource_id": np.where(
                touches, np.array([f"arn:aws:s3:::bucket-{n}" for n in range(100)], object)[size % 100], None
            ),
            "operation": np.where(touches, np.where(size % 4, "GetObject", "PutObject"), None),
            "units": np.where(touches, size.astype(float), None),
            "unit": np.where(touches, "bytes", None),
            "cost_usd": np.where(_TOOL_NAMES[tool] == "web_search", 0.01, None),
            "duration_ms": np.exp(rng.normal(5, 1, count)).astype(np.int64),
            "status": np.where(fails, "error", "ok"),
            "error_type": np.where(fails, "tool_error", None),
            "arguments_bytes": rng.integers(2, 2000, count),
            "arguments_digest": _hex(rng, 32, count),
            "result_bytes": size,
            "result_digest": _hex(rng, 32, count),
        }
        return tuple(rows[column].tolist() for column in TOOL_CALL_COLUMNS)


def _counts(
    rng: np.random.Generator, model: np.ndarray, anthropic: np.ndarray, origin: np.ndarray
) -> dict[str, np.ndarray]:
    """The token counts. Caches and reasoning are parts; what a provider does not say is None."""
    count = len(model)
    prompt = np.clip(np.exp(rng.normal(8, 1.3, count)), 20, 190_000)
    prompt = np.where(_LONG[model] & (rng.random(count) < 0.004)[origin], rng.uniform(2e5, 6e5, count), prompt)[origin]
    completion = np.clip(np.exp(rng.normal(5.5, 1.1, count)), 1, 16_000)[origin]
    cached, written = rng.random(count)[origin] < _CACHED[model], anthropic & (rng.random(count) < 0.2)[origin]
    read = np.where(cached, prompt * rng.uniform(0.3, 0.9, count)[origin], 0)
    write = np.where(written, prompt * 0.09, 0)
    hour = write * (rng.random(count)[origin] < 0.1)
    searches = np.where(anthropic & (rng.random(count)[origin] < 0.005), 1 + completion.astype(np.int64) % 4, 0)
    reasoning = np.where(_REASONS[model], completion * 0.6, -1)

    def whole(values: np.ndarray, said: np.ndarray | bool = True) -> np.ndarray:
        return np.where(said, values.astype(np.int64), None)

    return {
        "prompt_tokens": prompt.astype(np.int64),
        "completion_tokens": completion.astype(np.int64),
        "cache_read_tokens": whole(read, _CACHED[model] > 0),
        "cache_write_tokens": whole(write, anthropic),
        "cache_write_1h_tokens": whole(hour, anthropic),
        "reasoning_tokens": whole(reasoning, reasoning >= 0),
        "web_search_requests": whole(searches, searches > 0),
    }


def _zipf(rng: np.random.Generator, kinds: int, count: int) -> np.ndarray:
    weights = np.cumsum(1 / np.arange(1, kinds + 1))
    return np.searchsorted(weights, rng.random(count) * weights[-1]).astype(np.int64)


# -- text, as matrices of bytes: one row each -------------------------------------------------------------------------


def _texts(matrix: np.ndarray) -> np.ndarray:
    count, width = matrix.shape
    text = np.ascontiguousarray(matrix).tobytes().decode("ascii")
    found = np.empty(count, object)
    found[:] = [text[at : at + width] for at in range(0, count * width, width)]
    return found


def _ids(rng: np.random.Generator, prefix: bytes, width: int, count: int) -> np.ndarray:
    matrix = np.empty((count, len(prefix) + width), np.uint8)
    matrix[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    matrix[:, len(prefix) :] = _BASE_62[rng.integers(0, 62, (count, width), np.uint8)]
    return matrix


def _sortable(rng: np.random.Generator, prefix: bytes, moment: np.ndarray) -> np.ndarray:
    """Like Anthropic's ids: after the prefix come six characters of time."""
    matrix = _ids(rng, prefix, 20, len(moment))
    ticks = moment // 62
    for column in range(len(prefix) + 5, len(prefix) - 1, -1):
        matrix[:, column] = _BASE_62[ticks % 62]
        ticks //= 62
    return matrix


def _hex(rng: np.random.Generator, width: int, count: int) -> np.ndarray:
    digits = np.frombuffer(rng.bytes(width * count).hex().encode(), np.uint8)
    return _texts(digits.reshape(count, width * 2))


def _request_ids(rng: np.random.Generator, moment: np.ndarray) -> np.ndarray:
    """Three in ten are UUIDs."""
    found = _texts(_sortable(rng, b"req_011C", moment))
    random = np.flatnonzero(rng.random(len(moment)) < 0.3)
    digits = rng.bytes(16 * len(random)).hex()
    found[random] = [
        f"{one[:8]}-{one[8:12]}-4{one[13:16]}-a{one[17:20]}-{one[20:]}"
        for one in (digits[at : at + 32] for at in range(0, len(digits), 32))
    ]
    return found


_SECONDS = np.array([list(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}".encode()) for s in range(86400)], np.uint8)
_MILLISECONDS = np.array([list(f".{ms:03d}Z".encode()) for ms in range(1000)], np.uint8)


def _timestamps(moment: np.ndarray) -> np.ndarray:
    """As ledger text: ISO 8601 UTC with milliseconds."""
    day = moment // _DAY_MS
    first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    dates = [f"{_EPOCH + timedelta(days=n):%Y-%m-%dT}".encode() for n in range(first, last + 1)]
    matrix = np.empty((len(moment), 24), np.uint8)
    matrix[:, :11] = np.array([list(one) for one in dates], np.uint8)[day - first]
    matrix[:, 11:19] = _SECONDS[moment % _DAY_MS // 1000]
    matrix[:, 19:] = _MILLISECONDS[moment % 1000]
    return matrix
