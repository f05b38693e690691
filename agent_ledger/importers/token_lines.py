"""Which lines of a cloud's bill are the tokens of a model, as far as the names on the line say it.

There is no column for it: AWS puts the model and the kind of tokens into the usage type or the product's name, Azure
and Google into the name of the meter. A model is named as the bill names it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_REGION = re.compile(r"^(?:(?:US|UG|CA|AF|AP|EU|ME|IL|SA|MX|CN)[A-Z]?\d|EU|CPT)(?:[-_]|$)")
_EDITION = re.compile(r"\s*\(Amazon Bedrock Edition\)\s*$", re.I)
_KIND = re.compile(
    r"[-_: ]*(?:mantle[-_ ])?(?:(?:text|image|audio|video|speech)[-_ ])?(?:million[-_ ]?)?(?:batch[-_ ]?)?"
    r"(?:cache[-_ ]?(?P<cache>read|write)(?P<hour>[-_ ]?1h)?|(?P<cached>cached|cchd)[-_ ](?:inp\w*)"
    r"|(?P<input>inp|input)(?=[-_ T]|$)|(?P<output>outp|opt|output)(?=[-_ T]|$))",
    re.I,
)
_HOUR = re.compile(r"(?<![0-9a-z])1[-_ ]?h(?:our)?(?![a-z])|1h(?=Input)", re.I)
_NAMED = re.compile(r"\b(?:gemini|claude|gpt|llama|mistral|gemma|imagen|text[- ]embedding|o[1-9])\b[^,;(:]*", re.I)
_COUNTED = re.compile(r"\s*\b(?:text|short|long|input|output|cached?|token|predictions?|generate|usage)\b.*$", re.I)
_ON_AZURE = re.compile(r"openai|foundry|cognitive services", re.I)
_ON_GOOGLE = re.compile(r"vertex|gemini|generative|agent platform", re.I)
_VENDORS = frozenset(
    ("anthropic", "openai", "mistral", "cohere", "xai", "deepseek", "openrouter", "groq", "perplexity")
)
_PAID = re.compile(r"\b(?:tokens?|credits?)\b", re.I)


class Tokens(NamedTuple):
    """The tokens of a model."""

    model: str | None
    token_type: str | None
    """input, output, cache_read, cache_write, cache_write_1h; None: the line does not say."""


@lru_cache(maxsize=2**12)
def on_bedrock(service: str, usage_type: str, product: str) -> Tokens | None:
    """What a line of AWS counts, by product code, usage type and product name; None: not tokens.

    `USW2-Claude4.6Sonnet-input-tokens` of AmazonBedrock names the model; `USE1-MP:USE1_InputTokenCount-Units` of a
    Marketplace product does not, but its product is "Claude Sonnet 4.5 (Amazon Bedrock Edition)".
    """
    edition = _EDITION.search(product)
    if edition is None and "bedrock" not in service.lower():
        return None
    folded = usage_type.lower()
    if "token" not in folded or "perminute" in folded or "tpm" in folded:
        return None
    named = _REGION.sub("", usage_type)
    found = _KIND.search(named)
    if found is None:
        return Tokens(product[: edition.start()] if edition else None, None)
    model = named[: found.start()]
    if edition:
        return Tokens(product[: edition.start()], _kind(found, named))
    return Tokens(None if "MP:" in usage_type else model or None, _kind(found, named))


def _kind(found: re.Match[str], text: str) -> str | None:
    if found["cache"] or found["cached"]:
        if found["cached"] or found["cache"].lower() == "read":
            return "cache_read"
        return "cache_write_1h" if found["hour"] or _HOUR.search(text, found.end()) else "cache_write"
    return "input" if found["input"] else "output"


@lru_cache(maxsize=2**12)
def on_bill(provider: str, service: str, meter: str, unit: str) -> Tokens | None:
    """What a line of any provider counts, by service, the name of the meter and the unit; None: not tokens."""
    if provider == "aws" or "bedrock" in service.lower():
        return on_bedrock(service, meter, service)
    found = _KIND.search(meter)
    if provider == "azure" and _ON_AZURE.search(service):
        if found is None or "token" not in f"{meter} {unit}".lower():
            return None
        return Tokens(meter[: found.start()].strip(" -") or None, _kind(found, meter))
    if provider == "google" and _ON_GOOGLE.search(service):
        named = _NAMED.search(meter)
        if named is None or found is None:
            return None
        return Tokens(_COUNTED.sub("", named[0]).strip(" -").lower() or None, _kind(found, meter))
    if provider in _VENDORS and _PAID.search(f"{meter} {unit}"):
        named = _NAMED.search(meter)
        return Tokens(named and _COUNTED.sub("", named[0]).strip(" -"), _kind(found, meter) if found else None)
    return None
