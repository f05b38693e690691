"""Anthropic's own reports of what an organization used and what it cost.

Source: platform.claude.com, `/v1/organizations/usage_report/messages`, `/v1/organizations/cost_report`, and
`/v1/organizations/analytics/…` (anthropic 2.12, `client.beta.organization.analytics`).

- Amounts are cents, as decimal text with fractions: "123.78912" is $1.2378912. Of `amount` and `list_amount` the first
  is billed: discounts are off, credits are not. What the priority tier costs is in no report.
- Input tokens exclude what the cache read and wrote; the ledger's counts include it.
- What is null is not asked for: a report that is not grouped by `description` names no models.
- The pages do not name the organization, so there is one bill: `anthropic default`.
- Claude Code's own report is part of the others, with costs that are estimates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Context
from pathlib import Path
from typing import Any, Final

from agent_ledger.errors import InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import cells, lines, report_pages, token_lines
from agent_ledger.importers.report_pages import ReportRow, Shape
from agent_ledger.records import Charge, Fact, ProviderUsage

_BILL: Final = "anthropic default"
_TIMES: Final = ("starting_at", "ending_at")
_AMOUNTS: Final = frozenset(("amount", "list_amount", "currency", "requests"))
_COUNTS: Final = frozenset(
    (
        *("uncached_input_tokens", "cache_read_input_tokens", "cache_creation", "output_tokens", "total_tokens"),
        *("server_tool_use", "requests"),
    )
)
_TOKEN_TYPES: Final = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
}
_EXACT: Final = Context(prec=99)
_ACCOUNT: Final = ("api_key_id", "workspace_id", "service_account_id", "account_id")


class AnthropicCost:
    """Reads cost reports."""

    name = "anthropic-cost"
    summary = "Anthropic's cost report: the API's JSON pages, one or many in a file"
    is_bill = True

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSON and JSONL below a folder."""
        return lines.found(path, report_pages.SUFFIXES)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        """A charge per row."""
        return report_pages.facts(file, advance, Shape(_TIMES, _AMOUNTS.__contains__, ("cost",), _no_costs), _charge)


class AnthropicUsage:
    """Reads usage reports."""

    name = "anthropic-usage"
    summary = "Anthropic's usage report: the API's JSON pages, one or many in a file"
    is_bill = True

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSON and JSONL below a folder."""
        return lines.found(path, report_pages.SUFFIXES)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        """What was used, per row."""
        return report_pages.facts(file, advance, Shape(_TIMES, _COUNTS.__contains__, ("usage",), _no_usage), _usage)


def _no_costs(row: Mapping[str, Any]) -> str | None:
    if reason := _other_report(row):
        return reason
    if "uncached_input_tokens" in row or "usage" in row:
        return "is a usage report: import it as anthropic-usage."
    return None


def _no_usage(row: Mapping[str, Any]) -> str | None:
    if reason := _other_report(row):
        return reason
    if "amount" in row or "cost" in row:
        return "is a cost report: import it as anthropic-cost."
    return None


def _other_report(row: Mapping[str, Any]) -> str | None:
    if "model_breakdown" in row or "core_metrics" in row:
        return (
            "is the report of Claude Code: what it counts is in the usage and cost reports too, and would count twice; "
            "import those."
        )
    if str(row.get("object", "")).startswith("organization."):
        return "is a report of OpenAI: import it as openai-costs or openai-usage."
    return None


def _charge(row: ReportRow) -> Charge:
    _alone(row)
    cents = cells.cost("amount", row.measured.get("amount"))
    cost_type, raw = row.text("cost_type"), row.text("token_type")
    described = token_lines.on_bill("anthropic", "", row.text("description") or "", "")
    token_type = _TOKEN_TYPES.get(raw or "", raw) or (None if cost_type in (None, "tokens") else cost_type)
    return cells.checked(
        Charge(
            bill=_BILL,
            billing_period=row.start[:10],
            period_start=row.start,
            period_end=row.end,
            provider="anthropic",
            charge_id=row.id(),
            cost=cents.scaleb(-2, _EXACT),
            currency=cells.currency("currency", str(row.measured.get("currency") or "USD").upper()),
            account=row.text(*reversed(_ACCOUNT)),
            service=row.text("product"),
            usage_type=raw or cost_type,
            category="credit" if cents < 0 else "usage",
            kind="llm",
            model=row.text("model") or (described and described.model),
            token_type=token_type or (described and described.token_type),
            description=row.text("description"),
            tags=report_pages.tags(row, "cost_type", "token_type", "model", "description", "product"),
        )
    )


def _usage(row: ReportRow) -> ProviderUsage:
    _alone(row)
    fresh, output = row.number("uncached_input_tokens"), row.number("output_tokens")
    if fresh is None or output is None:
        said = "a usage report counts uncached_input_tokens and output_tokens"
        raise InvalidRecord("results", sorted(row.measured), said)
    read = row.number("cache_read_input_tokens") or 0
    hour = row.number("ephemeral_1h_input_tokens", "cache_creation") or 0
    written = hour + (row.number("ephemeral_5m_input_tokens", "cache_creation") or 0)
    return ProviderUsage(
        bill=_BILL,
        billing_period=row.start[:10],
        period_start=row.start,
        period_end=row.end,
        provider="anthropic",
        usage_id=row.id(),
        model=row.text("model"),
        service_tier="fast" if row.text("speed") == "fast" else row.text("service_tier"),
        account=row.text(*_ACCOUNT),
        requests=row.number("requests"),
        prompt_tokens=fresh + read + written,
        completion_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        web_search_requests=row.number("web_search_requests", "server_tool_use"),
    )


def _alone(row: ReportRow) -> None:
    if group := row.text("rbac_group_id"):
        raise InvalidRecord("rbac_group_id", group, "people are in several groups, so such rows overlap; leave it out")


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `anthropic-cost` and `anthropic-usage`."""
    register(AnthropicCost())
    register(AnthropicUsage())
