"""OpenAI's own reports of what an organization used and what it cost.

Source: platform.openai.com, `/v1/organization/costs` and `/v1/organization/usage/…` (openai 3.54,
`client.admin.organization.usage`).

- Amounts are dollars, as a number or as text; a number counts as the shortest decimal that prints the same.
- Input tokens include what the cache read and wrote, as in the ledger.
- A `line_item` is "gpt-4o, input": the model and what is billed of it. Grouped by nothing, it is null.
- Each kind of usage is a report of its own, so a bill of its own; only those of tokens and of web searches are read.
- What is stored or runs (vector stores, containers) is no model's work: such lines are of the kind cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent_ledger.errors import InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import cells, lines, report_pages
from agent_ledger.importers.report_pages import ReportRow, Shape
from agent_ledger.records import Charge, Fact, ProviderUsage

_TIMES: Final = ("start_time", "end_time")
_AMOUNTS: Final = ("amount", "quantity", "quantity_unit")
_COUNTED: Final = ("completions", "embeddings", "moderations", "web_searches")
_STORED: Final = ("storage", "vector store", "code interpreter", "container", "file search")
_OBJECT: Final = "organization.usage."


class OpenAICosts:
    """Reads cost reports."""

    name = "openai-costs"
    summary = "OpenAI's cost report: the API's JSON pages, one or many in a file"
    is_bill = True

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSON and JSONL below a folder."""
        return lines.found(path, report_pages.SUFFIXES)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        """A charge per row."""
        return report_pages.facts(file, advance, Shape(_TIMES, _AMOUNTS.__contains__, refuses=_no_costs), _charge)


class OpenAIUsage:
    """Reads usage reports of tokens."""

    name = "openai-usage"
    summary = "OpenAI's usage reports of tokens and web searches: the API's JSON pages, one or many in a file"
    is_bill = True

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSON and JSONL below a folder."""
        return lines.found(path, report_pages.SUFFIXES)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        """What was used, per row."""
        return report_pages.facts(file, advance, Shape(_TIMES, _is_count, refuses=_no_usage), _usage)


def _no_costs(row: Mapping[str, Any]) -> str | None:
    if reason := _other_provider(row):
        return reason
    if str(row.get("object", "")).startswith(_OBJECT) or "input_tokens" in row:
        return "is a usage report: import it as openai-usage."
    return None


def _no_usage(row: Mapping[str, Any]) -> str | None:
    if reason := _other_provider(row):
        return reason
    kind = str(row.get("object", ""))
    if kind == "organization.costs.result" or "amount" in row:
        return "is a cost report: import it as openai-costs."
    if kind.startswith(_OBJECT) and _endpoint(row) not in _COUNTED:
        return f"is the usage report of {_endpoint(row)}, which has no tokens to compare: leave it out."
    return None


def _other_provider(row: Mapping[str, Any]) -> str | None:
    if any(name in row for name in ("uncached_input_tokens", "cost_type", "list_amount", "model_breakdown", "group")):
        return "is a report of Anthropic: import it as anthropic-cost or anthropic-usage."
    return None


def _is_count(name: str) -> bool:
    return name.endswith("_tokens") or name in ("num_model_requests", "num_requests")


def _endpoint(row: Mapping[str, Any]) -> str:
    """Which usage report the row is from; completions where it does not say."""
    return str(row.get("object", "")).removeprefix(_OBJECT).removesuffix(".result") or "completions"


def _charge(row: ReportRow) -> Charge:
    amount = row.measured.get("amount")
    if not isinstance(amount, dict):
        raise InvalidRecord("amount", amount, 'give an object such as {"value": 0.06, "currency": "usd"}')
    cost = cells.cost("amount.value", amount.get("value"))
    item = row.text("line_item")
    unit = row.measured.get("quantity_unit")
    model, token_type = _billed(item or "")
    return cells.checked(
        Charge(
            bill=f"openai {row.text('organization_id') or 'default'}",
            billing_period=row.start[:10],
            period_start=row.start,
            period_end=row.end,
            provider="openai",
            charge_id=row.id(),
            cost=cost,
            currency=cells.currency("amount.currency", str(amount.get("currency") or "usd").upper()),
            account=row.text("project_id", "api_key_id", "user_id"),
            usage_type=item,
            quantity=cells.number("quantity", row.measured.get("quantity")),
            unit=unit if isinstance(unit, str) else None,
            category="credit" if cost < 0 else "usage",
            kind="cloud" if any(mark in (item or "").lower() for mark in _STORED) else "llm",
            model=model,
            token_type=token_type,
            description=item,
            tags=report_pages.tags(row, "object", "line_item"),
        )
    )


def _billed(line_item: str) -> tuple[str | None, str | None]:
    """The model and the kind of tokens of "gpt-4o, cached input"; a line without a comma names no model."""
    model, comma, kind = line_item.rpartition(", ")
    kind = kind.lower().replace("_", " ")
    if "web search" in kind:
        return model or None, "web_search"
    if not comma:
        return None, None
    if "cache" in kind:
        return model, "cache_write" if "write" in kind else "cache_read"
    return model, next((one for one in ("input", "output") if one in kind), None)


def _usage(row: ReportRow) -> ProviderUsage:
    endpoint = _endpoint(row.named)
    searches = endpoint == "web_searches"
    prompt = row.number("input_tokens")
    if prompt is None and not searches:
        raise InvalidRecord("results", sorted(row.measured), "a usage report counts input_tokens")
    return ProviderUsage(
        bill=f"openai {row.text('organization_id') or 'default'} {endpoint}",
        billing_period=row.start[:10],
        period_start=row.start,
        period_end=row.end,
        provider="openai",
        usage_id=row.id(),
        model=row.text("model"),
        service_tier="batch" if row.named.get("batch") is True else row.text("service_tier"),
        account=row.text("api_key_id", "project_id", "user_id"),
        requests=None if searches else row.number("num_model_requests"),  # those of the completions, once more
        prompt_tokens=prompt,
        completion_tokens=None if searches else row.number("output_tokens") or 0,
        cache_read_tokens=row.number("input_cached_tokens"),
        cache_write_tokens=row.number("input_cache_write_tokens"),
        web_search_requests=row.number("num_requests") if searches else None,
    )


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `openai-costs` and `openai-usage`."""
    register(OpenAICosts())
    register(OpenAIUsage())
