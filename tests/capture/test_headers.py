"""Calls from response headers alone: of a gateway that counts tokens, and of Amazon Bedrock."""

from __future__ import annotations

import contextvars
import email.message
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from agent_ledger import InvalidRecord, Ledger, attribute, attribution
from agent_ledger.attribution import last_request_id
from agent_ledger.capture.headers import call_fields

GATEWAY = {
    "Content-Type": "application/json",
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "anthropic-input-tokens": "1200",
    "anthropic-output-tokens": "300",
    "anthropic-model": "claude-sonnet-4-5",
}
BEDROCK = {
    "x-amzn-requestid": "7b2e9d7e-0000-4a53-9b7b-2f1c3f0d8a11",
    "x-amzn-bedrock-input-token-count": "100",
    "x-amzn-bedrock-output-token-count": "20",
}
CACHED = {
    "x-amzn-bedrock-cache-read-input-token-count": "1000",
    "x-amzn-bedrock-cache-write-input-token-count": "50",
}
NO_COUNTS = (
    "is None: the gateway did not send token counts (Anthropic itself sends only request-id): have it add them, or give"
)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = attribution._scope.set(attribution._NOWHERE)
    yield
    attribution._scope.reset(before)


def message(headers: Mapping[str, str]) -> Any:
    made = email.message.Message()
    for name, value in headers.items():
        made[name] = value
    return made


def without(name: str, headers: Mapping[str, str] = GATEWAY) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.parametrize("kind", [dict, httpx.Headers, message], ids=["dict", "httpx", "email"])
@pytest.mark.parametrize("case", [str, str.upper, str.title], ids=["lower", "upper", "title"])
def test_the_five_fields(ledger: Ledger, kind: Any, case: Any) -> None:
    headers = kind({case(name): value for name, value in GATEWAY.items()})
    assert ledger.record_headers(headers, agent_id="fraud-classifier") is True
    (row,) = ledger.rows("ledger")
    assert {name: value for name, value in row.items() if value is not None and name not in ("id", "ts", "part")} == {
        "agent_id": "fraud-classifier",
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "evidence": "header",
    }


def test_the_same_headers_again_are_the_same_call(ledger: Ledger) -> None:
    ts = "2026-01-15T12:00:00.000Z"
    assert ledger.record_headers(GATEWAY, agent_id="a", ts=ts) is True
    assert ledger.record_headers(GATEWAY, agent_id="a", ts=ts) is False
    assert ledger.record_headers(GATEWAY, agent_id="a") is False  # later
    assert len(ledger.rows("ledger")) == 1


def test_the_call_belongs_to_who_is_calling(ledger: Ledger) -> None:
    with attribute(agent_id="a", customer_id="acme", feature="f", session_id="s"):
        ledger.record_headers(GATEWAY)
        ledger.record_headers({**GATEWAY, "request-id": "other"}, agent_id="b", customer_id=None)
    with attribute(agent_id="a", request_id="mine"):
        ledger.record_headers(GATEWAY)
    found = [
        tuple(row[name] for name in ("agent_id", "customer_id", "feature", "session_id", "request_id"))
        for row in ledger.rows("ledger")
    ]
    assert found == [
        ("a", "acme", "f", "s", GATEWAY["request-id"]),
        ("b", None, "f", "s", "other"),
        ("a", None, None, None, "mine"),
    ]


def test_what_is_given_wins_whatever_the_headers_say(ledger: Ledger) -> None:
    given: dict[str, Any] = {
        "agent_id": "a", "request_id": "r", "model": "m", "prompt_tokens": 1, "completion_tokens": None,
        "provider": "vertex", "evidence": "manual", "response_id": "msg_1",
    }  # fmt: skip
    for headers in (GATEWAY, {**GATEWAY, "anthropic-input-tokens": "many"}, {}):
        fields = call_fields(headers, given)
        assert {name: fields[name] for name in given} == given
    assert ledger.record_headers(GATEWAY, **given)
    (row,) = ledger.rows("ledger")
    assert {name: row[name] for name in given} == given
    assert ledger.record_headers(GATEWAY, agent_id="a", request_id=None), "one is made, as by record_call"
    assert len(ledger.rows("ledger")[1]["request_id"]) == 26


def test_the_tool_calls_that_follow_belong_to_it(ledger: Ledger) -> None:
    with attribute(agent_id="a"):
        ledger.record_headers(GATEWAY)
        assert last_request_id() == GATEWAY["request-id"]
        with pytest.raises(InvalidRecord):
            ledger.record_headers({**GATEWAY, "request-id": "refused", "anthropic-model": "\0"})
        ledger.record_headers(GATEWAY, request_id=None)
        assert last_request_id() == GATEWAY["request-id"]


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        (without("request-id"), "header request-id is None: the gateway did not send it: give request_id="),
        ({**GATEWAY, "request-id": " "}, "header request-id is None: the gateway did not send it: give request_id="),
        (without("anthropic-model"), "header anthropic-model is None: the gateway did not send it: give model="),
        (
            {"request-id": "req_1", "anthropic-organization-id": "o"},  # as Anthropic itself answers
            f"header anthropic-input-tokens {NO_COUNTS} prompt_tokens=",
        ),
        (without("anthropic-input-tokens"), f"header anthropic-input-tokens {NO_COUNTS} prompt_tokens="),
        (without("anthropic-output-tokens"), f"header anthropic-output-tokens {NO_COUNTS} completion_tokens="),
        (
            {**GATEWAY, "anthropic-input-tokens": "12.5"},
            "header anthropic-input-tokens is '12.5': the gateway must send a whole number there",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_a_remedy(
    ledger: Ledger, headers: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        ledger.record_headers(headers, agent_id="a")
    assert str(refused.value) == sentence
    assert ledger.rows("ledger") == []


@pytest.mark.parametrize("text", ["-1", "+1", "1,200", "1e3", "0x10", "many", "1 2", "١٢", "²", "9" * 16, "9" * 5000])
def test_what_is_no_count(ledger: Ledger, text: str) -> None:
    with pytest.raises(InvalidRecord, match=r"^header anthropic-output-tokens is .*whole number"):
        ledger.record_headers({**GATEWAY, "anthropic-output-tokens": text}, agent_id="a")


def test_a_count_that_no_model_reaches_is_refused_as_anywhere(ledger: Ledger) -> None:
    with pytest.raises(InvalidRecord, match="prompt_tokens is 999999999999: give a number from 0 to"):
        ledger.record_headers({**GATEWAY, "anthropic-input-tokens": "9" * 12}, agent_id="a")


def test_an_agent_must_be_named(ledger: Ledger) -> None:
    with pytest.raises(InvalidRecord, match="agent_id"):
        ledger.record_headers(GATEWAY)
    with pytest.raises(InvalidRecord, match="there is no such field"):
        ledger.record_headers(GATEWAY, agent_id="a", agentid="a")


@pytest.mark.parametrize(
    ("headers", "prompt", "read", "write"),
    [
        (BEDROCK, 100, None, None),
        ({**BEDROCK, **CACHED}, 1150, 1000, 50),
        ({**BEDROCK, **dict.fromkeys(CACHED, "0")}, 100, 0, 0),
        ({**BEDROCK, "x-amzn-bedrock-cache-read-input-token-count": "7"}, 107, 7, None),
    ],
)
def test_bedrock_counts_the_cached_tokens_beside_the_input(
    ledger: Ledger, headers: dict[str, str], prompt: int, read: int | None, write: int | None
) -> None:
    assert ledger.record_headers(headers, agent_id="a", model="anthropic.claude-sonnet-4-5-20250929-v1:0")
    (row,) = ledger.rows("ledger")
    found = {name: row[name] for name in ("prompt_tokens", "completion_tokens", "cache_read_tokens")}
    assert found == {"prompt_tokens": prompt, "completion_tokens": 20, "cache_read_tokens": read}
    assert (row["cache_write_tokens"], row["provider"], row["evidence"]) == (write, "aws", "header")
    assert row["request_id"] == BEDROCK["x-amzn-requestid"]


def test_bedrock_says_the_service_tier_and_nothing_of_the_output_of_embeddings(ledger: Ledger) -> None:
    headers = without("x-amzn-bedrock-output-token-count", BEDROCK)
    ledger.record_headers({**headers, "X-Amzn-Bedrock-Service-Tier": "flex"}, agent_id="a", model="m")
    (row,) = ledger.rows("ledger")
    assert (row["completion_tokens"], row["service_tier"]) == (0, "flex")


@pytest.mark.parametrize(
    ("headers", "given", "sentence"),
    [
        (BEDROCK, {}, "model is None: Bedrock sends it in no header: give model="),
        (
            without("x-amzn-bedrock-input-token-count", BEDROCK),
            {"model": "m"},
            "header x-amzn-bedrock-input-token-count is None: it is missing: give prompt_tokens=",
        ),
        (
            without("x-amzn-requestid", BEDROCK),
            {"model": "m"},
            "header x-amzn-requestid is None: it is missing: give request_id=",
        ),
        (
            {**BEDROCK, **CACHED, "x-amzn-bedrock-cache-read-input-token-count": "x"},
            {"model": "m"},
            "header x-amzn-bedrock-cache-read-input-token-count is 'x': the gateway must send a whole number there",
        ),
    ],
)
def test_what_bedrock_left_out(ledger: Ledger, headers: dict[str, str], given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        ledger.record_headers(headers, agent_id="a", **given)
    assert str(refused.value) == sentence
    assert ledger.record_headers(
        without("x-amzn-bedrock-cache-read-input-token-count", headers),
        agent_id="a", model="m", prompt_tokens=100, request_id="r",
    )  # fmt: skip


def test_outside_of_a_run_it_is_joined_too(ledger: Ledger) -> None:
    def record() -> str | None:
        ledger.record_headers(GATEWAY, agent_id="a")
        return last_request_id()

    assert contextvars.Context().run(record) == GATEWAY["request-id"]
