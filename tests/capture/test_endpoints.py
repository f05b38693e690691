from __future__ import annotations

import pytest

from agent_ledger.capture.endpoints import Endpoint, Kind, Origin, endpoint, origin

VERTEX = "/v1/projects/p/locations/us-east5/publishers"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/messages", None),
        ("/anthropic/v1/messages", None),
        ("/v1/chat/completions", None),
        ("/chat/completions", None),
        ("/api/v1/chat/completions", None),
        ("/openai/deployments/gpt-5/chat/completions", None),
        ("/v1/completions", None),
        ("/v1/fim/completions", None),
        ("/v1/agents/completions", None),
        ("/v1/responses", None),
        ("/v1/responses/compact", None),
        ("/v1/embeddings", None),
        ("/v1beta/models/gemini-3-pro:generateContent", "gemini-3-pro"),
        ("/v1beta/models/gemini-3-pro:streamGenerateContent", "gemini-3-pro"),
        ("/v1beta/models/gemini-embedding-001:batchEmbedContents", "gemini-embedding-001"),
        (f"{VERTEX}/google/models/gemini-3-pro:generateContent", "gemini-3-pro"),
        (f"{VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict", "claude-sonnet-4-5@20250929"),
        (f"{VERTEX}/anthropic/models/claude-opus-4-8:streamRawPredict", "claude-opus-4-8"),
        ("/model/anthropic.claude-opus-4-8:0/invoke", "anthropic.claude-opus-4-8:0"),
        ("/model/us.amazon.nova-pro-v1:0/converse-stream", "us.amazon.nova-pro-v1:0"),
        ("/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.x/converse", None),
    ],
)
def test_inferences(path: str, model: str | None) -> None:
    found = endpoint("POST", path)
    assert found
    assert found.kind is Kind.CALL
    assert found.model == ("arn:aws:bedrock:us-east-1:1:inference-profile/us.x" if "arn:" in path else model)
    assert endpoint("GET", path) is None or path.endswith("/compact")
    assert endpoint("DELETE", path) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/messages/batches/msgbatch_1/cancel"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/v1/threads/thread_1/messages"),
        ("POST", "/v1/moderations"),
        ("POST", "/v1/files"),
        ("POST", "/v1beta/models/gemini-3-pro:countTokens"),
        ("POST", f"{VERTEX}/anthropic/models/count-tokens:rawPredict"),
        ("POST", "/model/anthropic.claude-opus-4-8/count-tokens"),
        ("POST", "/"),
        ("POST", ""),
        ("GET", "/v1/models"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/responses"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("GET", "/v1/batches"),
        ("DELETE", "/v1/responses/resp_1"),
        ("DELETE", "/v1/messages/batches/msgbatch_1"),
    ],
)
def test_what_is_no_inference(method: str, path: str) -> None:
    assert endpoint(method, path) is None


def test_what_brings_more_about_calls_made_before() -> None:
    assert endpoint("GET", "/v1/responses/resp_1") == Endpoint(Kind.POLL, subject="resp_1")
    assert endpoint("GET", "/v1/messages/batches/b_1/results") == Endpoint(Kind.RESULTS, subject="b_1")
    assert endpoint("GET", "/v1/files/file-1/content") == Endpoint(Kind.FILE, subject="file-1")
    for path in ("/v1/batches", "/v1/messages/batches", "/v1/batch/jobs"):
        assert endpoint("POST", path) == Endpoint(Kind.BATCH)
        assert endpoint("GET", f"{path}/b_1") == Endpoint(Kind.BATCH, subject="b_1")


@pytest.mark.parametrize(
    ("url", "provider", "region"),
    [
        ("https://api.anthropic.com/v1/messages", "anthropic", None),
        ("https://api.openai.com/v1/responses", "openai", None),
        ("https://eu.api.openai.com/v1/responses", "openai", "eu"),
        ("https://us.api.openai.com/v1/responses", "openai", "us"),
        ("https://me.openai.azure.com/openai/deployments/x/chat/completions", "azure", None),
        ("https://me.services.ai.azure.com/anthropic/v1/messages", "azure", None),
        ("https://us-east5-aiplatform.googleapis.com/v1/projects/p", "google", None),
        ("https://generativelanguage.googleapis.com/v1beta/models/x:generateContent", "google", None),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/invoke", "aws", None),
        ("https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages", "aws", None),
        ("https://api.groq.com/openai/v1/chat/completions", "groq", None),
        ("https://api.mistral.ai/v1/chat/completions", "mistral", None),
        ("https://api.eu.mistral.ai/v1/chat/completions", "mistral", None),
        ("https://api.deepseek.com/chat/completions", "deepseek", None),
        ("https://openrouter.ai/api/v1/chat/completions", "openrouter", None),
        ("https://router.huggingface.co/groq/openai/v1/chat/completions", "huggingface_groq", None),
        ("http://127.0.0.1:8000/v1/chat/completions", None, None),
        ("https://llm.example.com/v1/chat/completions", None, None),
    ],
)
def test_who_answers_at_an_address(url: str, provider: str | None, region: str | None) -> None:
    assert origin(url) == Origin(provider, region)
