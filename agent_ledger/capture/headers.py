"""Token counts in response headers: of gateways that add them, and of Amazon Bedrock.

Source: the gateway's fields are `request-id`, `anthropic-input-tokens`, `anthropic-output-tokens` and
`anthropic-model` (Anthropic itself sends only `request-id`), and whoever reads them knows the agent. Bedrock:
`x-amzn-bedrock-…-token-count`, and the headers of
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_ledger import attribution
from agent_ledger.errors import InvalidRecord

_WHO = ("agent_id", "customer_id", "feature", "session_id", "request_id")
_BEDROCK = "x-amzn-bedrock-"
_GATEWAY_TEXTS = {"request_id": "request-id", "model": "anthropic-model"}
_GATEWAY_COUNTS = {"prompt_tokens": "anthropic-input-tokens", "completion_tokens": "anthropic-output-tokens"}
_BEDROCK_TEXTS = {"request_id": "x-amzn-requestid", "service_tier": f"{_BEDROCK}service-tier"}
_BEDROCK_COUNTS = {
    "prompt_tokens": f"{_BEDROCK}input-token-count",
    "completion_tokens": f"{_BEDROCK}output-token-count",
    "cache_read_tokens": f"{_BEDROCK}cache-read-input-token-count",
    "cache_write_tokens": f"{_BEDROCK}cache-write-input-token-count",
}
_REQUIRED = ("prompt_tokens", "completion_tokens", "request_id", "model")
_LONGEST = 15  # digits: more than any count has


def call_fields(headers: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one call, from headers (any case), from the surrounding attribution, and as `given`, which wins.

    Raises InvalidRecord for a header that is missing or holds no number, where its field is not given.
    """
    found = {str(name).lower(): str(value).strip() for name, value in headers.items()}
    bedrock = any(name.startswith(_BEDROCK) for name in found)
    texts, counts = (_BEDROCK_TEXTS, _BEDROCK_COUNTS) if bedrock else (_GATEWAY_TEXTS, _GATEWAY_COUNTS)
    fields: dict[str, Any] = {"evidence": "header", "provider": "aws" if bedrock else "anthropic"}
    fields |= {name: found.get(header) or None for name, header in texts.items()}
    numbers = {name: _count(found, header) for name, header in counts.items() if name not in given}
    fields |= _all_input(numbers) if bedrock else numbers
    who = attribution.caller()
    fields |= {name: value for name in _WHO if (value := getattr(who, name)) is not None}
    fields |= given
    for name in _REQUIRED:
        if fields.get(name) is None and name not in given:
            header = (texts | counts).get(name)
            raise InvalidRecord(f"header {header}" if header else name, None, _remedy(name, bedrock=bedrock))
    return fields


def _all_input(numbers: Mapping[str, int | None]) -> dict[str, int]:
    """Bedrock's input count does not hold the cached tokens; ours does. Embeddings have no output to count."""
    known = {name: number for name, number in numbers.items() if number is not None}
    if "prompt_tokens" not in known:
        return known
    cached = known.get("cache_read_tokens", 0) + known.get("cache_write_tokens", 0)
    return {"completion_tokens": 0, **known, "prompt_tokens": known["prompt_tokens"] + cached}


def _count(found: Mapping[str, str], header: str) -> int | None:
    text = found.get(header)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST):
        raise InvalidRecord(f"header {header}", text, "the gateway must send a whole number there")
    return int(text)


def _remedy(name: str, *, bedrock: bool) -> str:
    if bedrock:
        return f"Bedrock sends it in no header: give {name}=" if name == "model" else f"it is missing: give {name}="
    if name in _GATEWAY_COUNTS:
        return (
            "the gateway did not send token counts (Anthropic itself sends only request-id): have it add them, or give "
            f"{name}="
        )
    return f"the gateway did not send it: give {name}="
