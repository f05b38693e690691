"""What an HTTP request asks of an LLM provider, told by its method and URL alone.

Source: the paths in the SDKs' own resources (anthropic 2.12, openai 3.54, google-genai 3.4, mistralai 3.7, groq 1.7),
and the hosts that genai-prices lists for each provider.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache


class Kind(Enum):
    """What the answer to a request is."""

    CALL = "an inference"
    POLL = "a response that was made before"
    BATCH = "a batch: made, or asked how it is"
    RESULTS = "the results of a batch"
    FILE = "a file, which may be the results of a batch"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request's purpose. `model`: as the URL names it, None where the body does. `subject`: the id of the batch or
    file, None for others."""

    kind: Kind
    model: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answers at an address, as the ledger names it. None: the address does not tell."""

    provider: str | None = None  # genai-prices' id
    region: str | None = None  # where a price depends on it


# What is only counted or judged has other paths: …/messages/count_tokens, …/responses/input_tokens, …/moderations.
# Only the end of a path is looked at: gateways and SDKs put all sorts of things before it.
_POSTED = re.compile(
    r"(?:/(?:v1/messages|completions|responses(?:/compact)?|embeddings)"
    r"|/(?P<google>[^/:]+):(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents)"
    r"|/models/(?!count-tokens:)(?P<vertex>[^/:]+):(?:rawPredict|streamRawPredict)"
    r"|/model/(?P<bedrock>.+)/(?:invoke|invoke-with-response-stream|converse|converse-stream)"
    r"|(?P<batch>/(?:batches|batch/jobs)))\Z"
)
_GOT = re.compile(
    r"(?:/responses/(?P<response>[^/]+)"
    r"|/messages/batches/(?P<results>[^/]+)/results"
    r"|/files/(?P<file>[^/]+)/content"
    r"|/(?:batches|batch/jobs)/(?P<batch>[^/]+))\Z"
)
_KINDS = {"response": Kind.POLL, "results": Kind.RESULTS, "file": Kind.FILE, "batch": Kind.BATCH}

# Hosts that genai-prices 0.2 does not know as those of the provider.
_OTHER_HOSTS = (
    (re.compile(r"https://api\.(?:eu|us)\.mistral\.ai/"), "mistral"),
    (re.compile(r"https://bedrock-(?:mantle|runtime|runtime-fips)\.[a-z0-9-]+\.(?:api\.aws|amazonaws\.com)"), "aws"),
)
# https://developers.openai.com/api/docs/guides/your-data: the region of processing is part of the host.
_OPENAI_REGION = re.compile(r"https://([a-z]{2})\.api\.openai\.com/")


@lru_cache(maxsize=1024)
def endpoint(method: str, path: str) -> Endpoint | None:
    """What a request is for, None where it has nothing to do with an inference. `path`: unquoted, without the query."""
    if method == "POST":
        found = _POSTED.search(path)
        if found is None:
            return None
        if found["batch"]:
            return Endpoint(Kind.BATCH)
        return Endpoint(Kind.CALL, model=found["google"] or found["vertex"] or found["bedrock"])
    if method == "GET":
        found = _GOT.search(path)
        if found and found.lastgroup:
            return Endpoint(_KINDS[found.lastgroup], subject=found[found.lastgroup])
    return None


@lru_cache(maxsize=256)
def origin(url: str) -> Origin:
    """Who answers at `url`, which has no query."""
    regional = _OPENAI_REGION.match(url)
    if regional:
        return Origin("openai", regional[1])
    for pattern, provider in (*_OTHER_HOSTS, *_listed_hosts()):
        if pattern.match(url):
            return Origin(provider)
    return Origin()


@cache
def _listed_hosts() -> tuple[tuple[re.Pattern[str], str], ...]:
    # Importing genai_prices takes 0.2 s, which only those who make calls should pay.
    from genai_prices.data_snapshot import get_snapshot

    return tuple((re.compile(provider.api_pattern), provider.id) for provider in get_snapshot().providers)
