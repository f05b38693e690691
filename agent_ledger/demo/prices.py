"""What the demo's models cost: list prices from genai-prices 0.2.3, as they became known week by week.

Fixed here, so that the demo costs the same whatever is installed.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agent_ledger import money
from agent_ledger.records import PriceRevision

SOURCE = "genai-prices"
PRIORITY = 50
START = "2026-09-01T05:00:00.000Z"

_BATCHES_SINCE = {"anthropic": "2024-10-08T00:00:00.000Z", "openai": "2024-04-15T00:00:00.000Z"}


def _usd(
    provider: str,
    model: str,
    given: tuple[str | None, str | None, str | None, str | None, str],
    *,
    search: str | None = None,
    above: int | None = None,
    since: str | None = None,
    until: str | None = None,
    hours: tuple[str, str] = ("", ""),
) -> PriceRevision:
    """One row; `given` is input, cache read, cache write, cache write for 1 hour, output: USD per million tokens."""
    buckets = [None if price is None else money.picos_per_token(price) for price in given]
    return PriceRevision(
        provider=provider,
        model=model,
        source=SOURCE,
        priority=PRIORITY,
        source_model=model,
        basis="published",
        effective_from=since and f"{since}T00:00:00.000Z",
        effective_to=until and f"{until}T00:00:00.000Z",
        time_from=hours[0] or None,
        time_to=hours[1] or None,
        above_tokens=above,
        input=buckets[0],
        cache_read=buckets[1],
        cache_write=buckets[2],
        cache_write_1h=buckets[3],
        output=buckets[4],
        web_search=None if search is None else money.picos(search),
    )


def _times(factor: str, row: PriceRevision, basis: str) -> PriceRevision:
    def scaled(price: int | None) -> int | None:
        return None if price is None else money.picos(money.dollars(price) * Decimal(factor))

    return replace(
        row,
        basis=f"{factor} x standard ({basis})",
        input=scaled(row.input),
        cache_read=scaled(row.cache_read),
        cache_write=scaled(row.cache_write),
        cache_write_1h=scaled(row.cache_write_1h),
        output=scaled(row.output),
    )


def _batch(row: PriceRevision) -> PriceRevision:
    half = _times("0.5", row, "batch")
    return replace(half, service_tier="batch", effective_from=_BATCHES_SINCE[str(row.provider)])


def _in_us(row: PriceRevision) -> PriceRevision:
    return replace(_times("1.1", row, "region us"), region="us")


_FABLE = _usd("anthropic", "claude-fable-5", ("10", "1", "12.5", "20", "50"), search="0.01")
_OPUS = _usd("anthropic", "claude-opus-5", ("5", "0.5", "6.25", "10", "25"), search="0.01")
_SONNET = _usd("anthropic", "claude-sonnet-5", ("2", "0.2", "2.5", "4", "10"), search="0.01")
_SONNET_4_5 = (
    _usd("anthropic", "claude-sonnet-4-5", ("3", "0.3", "3.75", "6", "15"), search="0.01"),
    _usd("anthropic", "claude-sonnet-4-5", ("6", "0.6", "7.5", "12", "22.5"), search="0.01", above=200_000),
)
_HAIKU = _usd("anthropic", "claude-haiku-4-5", ("1", "0.1", "1.25", "2", "5"), search="0.01")
_MINI = _usd("openai", "gpt-5.4-mini", ("0.75", "0.075", None, None, "4.5"), search="0.01")

_SOL_CHANGED = "2026-08-21"


def _flash(*usual: PriceRevision) -> list[PriceRevision]:
    """DeepSeek's flash costs more at certain hours, and what it costs then has not changed."""
    peak = ("0.3", "0.006", None, None, "1.2")
    dear = [
        _usd("deepseek", "deepseek-v4-flash", peak, hours=hours, since="2026-08-17")
        for hours in (("01:00", "04:00"), ("06:00", "10:00"))
    ]
    return [*usual, *dear]


def _large(*periods: tuple[str | None, str | None, str, str, str]) -> list[PriceRevision]:
    """Mistral's large model: since, until, input, cache read, output."""
    return [
        _usd("mistral", "mistral-large-4", (fresh, read, None, None, output), since=since, until=until)
        for since, until, fresh, read, output in periods
    ]


_KNOWN_AT_START = [
    _FABLE,
    *(_OPUS, _batch(_OPUS), _in_us(_OPUS)),
    *(_SONNET, _batch(_SONNET)),
    *_SONNET_4_5,
    *(_HAIKU, _batch(_HAIKU)),
    *(_MINI, _batch(_MINI)),
    _usd("openai", "gpt-5.6-sol", ("5", "0.5", "6.25", None, "30"), search="0.01", until=_SOL_CHANGED),
    _usd("openai", "gpt-5.6-sol", ("10", "1", "12.5", None, "45"), search="0.01", above=272_000, until=_SOL_CHANGED),
    _usd("openai", "gpt-5.6-sol", ("4", "0.4", "5", None, "20"), search="0.01", since=_SOL_CHANGED),
    _usd("openai", "gpt-5.6-sol", ("8", "0.8", "10", None, "30"), search="0.01", above=272_000, since=_SOL_CHANGED),
    _usd("openai", "gpt-5.5-pro", ("30", None, None, None, "180"), search="0.01"),
    _usd("openai", "gpt-5.5-pro", ("60", None, None, None, "270"), search="0.01", above=272_000),
    _usd("google", "gemini-2.5-pro", ("1.25", "0.125", None, None, "10"), search="0.035"),
    _usd("google", "gemini-2.5-pro", ("2.5", "0.25", None, None, "15"), search="0.035", above=200_000),
    _usd("aws", "us.anthropic.claude-sonnet-5-v1:0", ("2.2", "0.22", "2.75", "4.4", "11")),
    *_flash(_usd("deepseek", "deepseek-v4-flash", ("0.22", "0.007", None, None, "0.66"), since="2026-08-17")),
    *_large((None, None, "0.68", "0.07", "2.09")),
]


def recordings() -> list[tuple[str, list[PriceRevision]]]:
    """When the company learned of prices, and what. Mistral doubled on 20 October; they noticed two days later."""
    promotion = (None, "2026-10-20", "0.68", "0.07", "2.09")
    flash = ("0.15", "0.003", None, None, "0.6")
    return [
        (START, _KNOWN_AT_START),
        (
            "2026-09-10T05:00:00.000Z",
            _flash(
                _usd(
                    "deepseek",
                    "deepseek-v4-flash",
                    ("0.22", "0.007", None, None, "0.66"),
                    since="2026-08-17",
                    until="2026-09-10",
                ),
                _usd("deepseek", "deepseek-v4-flash", flash, since="2026-09-10"),
            ),
        ),
        ("2026-10-22T05:00:00.000Z", _large(promotion, ("2026-10-20", None, "1.36", "0.14", "4.18"))),
        (
            "2026-10-29T05:00:00.000Z",
            _large(
                promotion,
                ("2026-10-20", "2026-10-29", "1.36", "0.14", "4.18"),
                ("2026-10-29", None, "0.7", "0.07", "2.1"),
            ),
        ),
    ]
