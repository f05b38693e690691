"""LiteLLM's price map, where LiteLLM is installed: read as a file, never imported (that takes seconds and the network).

The map has no dates, and forgets retired models or prices them at $0. So a ledger keeps what it once read from it, and
refuses the zeros (rules.py). Prices by range (`tiered_pricing`) and by hour (`off_peak_pricing`) are not read: such a
model is unknown here, which is better than one of its prices for all calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent_ledger import money
from agent_ledger.errors import ImportFailed
from agent_ledger.hookspecs import PriceSource, hookimpl
from agent_ledger.prices import names
from agent_ledger.records import PriceRevision

SOURCE = "litellm"
FILE = "model_prices_and_context_window_backup.json"

_BUCKETS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_request": "request",
}
_UNITS = {
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "cache_read_input_audio_token_cost": "cache_audio_read_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "cache_read_input_image_token_cost": "cache_image_read_tokens",
    "input_cost_per_video_token": "input_video_tokens",
    "output_cost_per_video_token": "output_video_tokens",
}
_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority"}
_KEY = re.compile(
    rf"({'|'.join(sorted([*_BUCKETS, *_UNITS], key=len, reverse=True))})"
    rf"(?:_above_(\d+)k_tokens)?(?:_({'|'.join(_TIERS)}))?"
)
_NOT_READ = ("tiered_pricing", "off_peak_pricing")

# Their long band starts at the threshold; everybody else's above it.
_INCLUSIVE = ("xai",)

Bands = dict[int | None, dict[str, int]]  # above_tokens -> bucket or unit -> picos


class LiteLLMMap:
    """Price source "litellm". `path` is the map's file; None: that of the installed LiteLLM, if there is one."""

    name = SOURCE
    priority = 20
    dated = False

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._read: tuple[Path, int, Mapping[str, Any]] | None = None

    def prices(self, provider: str | None, model: str) -> Sequence[PriceRevision]:
        found = self._find(provider, model)
        return [] if found is None else list(_rows(*found, provider, model))

    def _find(self, provider: str | None, model: str) -> tuple[str, Mapping[str, Any]] | None:
        entries = self._entries()
        name, _ = names.lookup_name(model)
        if provider is None:
            keys, allowed = [name], None
        else:
            allowed = names.litellm_names(provider, names.genai_id(provider))
            keys = [name, *(f"{prefix}/{name}" for prefix in allowed)]
        for key in keys:
            entry = entries.get(key)
            if isinstance(entry, dict) and key != "sample_spec" and _is_of(str(entry.get("litellm_provider")), allowed):
                return key, entry
        return None

    def _entries(self) -> Mapping[str, Any]:
        path = self._path or installed()
        if path is None:
            return {}
        try:
            changed = path.stat().st_mtime_ns
            if self._read is None or self._read[:2] != (path, changed):
                self._read = (path, changed, json.loads(path.read_bytes(), parse_float=Decimal))
        except (OSError, ValueError) as error:
            raise ImportFailed(f"LiteLLM's price map {path} can't be read ({error}): reinstall litellm") from None
        return self._read[2]


def installed() -> Path | None:
    """The map of the installed LiteLLM; None: it is not installed, or ships no map."""
    try:
        spec = find_spec("litellm")
    except ValueError:  # somebody put a module without a spec there
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    return None


def _is_of(litellm_provider: str, allowed: tuple[str, ...] | None) -> bool:
    return allowed is None or any(
        litellm_provider == name or litellm_provider.startswith(f"{name}-") for name in allowed
    )


def _rows(key: str, entry: Mapping[str, Any], provider: str | None, model: str) -> Iterator[PriceRevision]:
    if any(name in entry for name in _NOT_READ):
        return
    prices = _prices(entry)
    standard = prices.get(None, {})
    if not {"input", "output", "request"} & set(standard.get(None, {})):
        return
    search = entry.get("search_context_cost_per_query")
    medium = search.get("search_context_size_medium") if isinstance(search, dict) else None
    web_search = None if medium is None else money.picos(medium)
    _, note = names.lookup_name(model)
    comparator = "ge" if entry.get("litellm_provider") in _INCLUSIVE else "gt"
    for tier, bands in prices.items():
        if None not in bands:  # a stray key, not a tier
            continue
        for above in sorted({*standard, *bands}, key=lambda start: -1 if start is None else start):
            amounts = _amounts(standard, bands, above)
            buckets: dict[str, Any] = {bucket: amounts.get(bucket) for bucket in _BUCKETS.values()}
            units = {unit: amounts[unit] for unit in _UNITS.values() if unit in amounts}
            yield PriceRevision(
                model=model,
                provider=provider,
                source=SOURCE,
                source_model=key,
                service_tier=tier,
                above_tokens=above,
                comparator=comparator,
                web_search=web_search,
                units=units or None,
                basis=f"published; {note}" if note else "published",
                **buckets,
            )


def _amounts(standard: Bands, bands: Bands, above: int | None) -> dict[str, int]:
    """The prices of one band of a tier. What the tier leaves out there costs what it costs in the standard tier."""
    amounts = {**standard[None], **bands[None], **standard.get(above, {}), **bands.get(above, {})}
    given = bands[None] if above is None else bands.get(above, {})
    usual = {**standard[None], **standard.get(above, {})}
    # The map has no batch price for writes of one hour, but a discount on writes holds for them too.
    if "cache_write" in given and "cache_write_1h" in usual and "cache_write_1h" not in given and usual["cache_write"]:
        amounts["cache_write_1h"] = usual["cache_write_1h"] * given["cache_write"] // usual["cache_write"]
    return amounts


def _prices(entry: Mapping[str, Any]) -> dict[str | None, Bands]:
    prices: dict[str | None, Bands] = {}
    for key, value in entry.items():
        found = _KEY.fullmatch(key)
        if found is None or isinstance(value, bool) or not isinstance(value, int | Decimal):
            continue
        name, thousands, tier = found.groups()
        above = int(thousands) * 1000 if thousands else None
        band = prices.setdefault(_TIERS.get(tier), {}).setdefault(above, {})
        band[_BUCKETS.get(name) or _UNITS[name]] = money.picos(value)
    return prices


@hookimpl
def register_price_sources(register: Callable[[PriceSource], None]) -> None:
    register(LiteLLMMap())
