from __future__ import annotations

import pytest

from agent_ledger.importers.token_lines import Tokens, on_bedrock, on_bill

EDITION = "Claude Sonnet 4.5 (Amazon Bedrock Edition)"


@pytest.mark.parametrize(
    ("usage_type", "model", "token_type"),
    [
        ("USW2-Claude4.6Sonnet-input-tokens", "Claude4.6Sonnet", "input"),
        ("USW2-Claude4.6Sonnet-output-tokens", "Claude4.6Sonnet", "output"),
        ("USW2-Claude4.6Sonnet-cache-read-input-token-count", "Claude4.6Sonnet", "cache_read"),
        ("USW2-Claude4.6Sonnet-cache-write-input-token-count", "Claude4.6Sonnet", "cache_write"),
        (
            "USW2-anthropic.claude-opus-4-8-mantle-cache-write-tokens-standard",
            "anthropic.claude-opus-4-8",
            "cache_write",
        ),
        ("EU-Qwen3-32B-output-tokens-batch", "Qwen3-32B", "output"),
        ("USE1-Nova2.0Pro-text-input-tokens-priority-cross-region-global", "Nova2.0Pro", "input"),
        ("USE1-GPT-OSS-Safeguard-120B-output-tokens-batch", "GPT-OSS-Safeguard-120B", "output"),
        ("gpt-oss-20b-input-tokens-flex", "gpt-oss-20b", "input"),
        ("USE1-NovaSonic-speech-output-tokens", "NovaSonic", "output"),
        ("USE1-MP:USE1_InputTokenCount-Units", None, "input"),
        ("USE1_input_tokens_global_standard-Units", None, "input"),
    ],
)
def test_bedrock_names_the_model_in_the_usage_type(usage_type, model, token_type):
    assert on_bedrock("AmazonBedrock", usage_type, "") == Tokens(model, token_type)


@pytest.mark.parametrize(
    ("usage_type", "token_type"),
    [
        ("USE1-MP:USE1_InputTokenCount-Units", "input"),
        ("USE1-MP:USE1_OutputTokenCount_Global_Batch-Units", "output"),
        ("USE1-MP:USE1_CacheReadInputTokenCount_Global-Units", "cache_read"),
        ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", "cache_write"),
        ("USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units", "cache_write_1h"),
        ("USE1-MP:USE1_MillionBatchInputTokens-Units", "input"),
        ("USE1-MP:USE1_Tokens-Units", None),
    ],
)
def test_bedrock_of_the_marketplace_names_it_in_the_product(usage_type, token_type):
    assert on_bedrock("5hnnev4d0v7mapf09j0v8of0o2", usage_type, EDITION) == Tokens("Claude Sonnet 4.5", token_type)


@pytest.mark.parametrize(
    ("service", "usage_type"),
    [
        ("AmazonBedrock", "USE1-cohere.rerank-english-v3-search-units"),
        ("AmazonBedrock", "USE1-Guardrail-AutomatedReasoningPolicyUnitsConsumed"),
        ("AmazonBedrock", "USE1-Reserved_1Month_InputTokensPerMinute"),
        ("AmazonBedrock", ""),
        ("AmazonS3", "USE1-input-tokens"),
    ],
)
def test_what_aws_bills_that_is_no_token(service, usage_type):
    assert on_bedrock(service, usage_type, "") is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (("azure", "Azure OpenAI", "gpt 4o 0806 Inp glbl Tokens", "1K"), ("gpt 4o 0806", "input")),
        (("azure", "Azure OpenAI", "gpt-4o-mini-0718-Outp-regnl Tokens", "1K"), ("gpt-4o-mini-0718", "output")),
        (("azure", "Foundry Models", "gpt 4.1 cached Inp glbl Tokens", "1K"), ("gpt 4.1", "cache_read")),
        (("azure", "Azure OpenAI", "Provisioned Managed", "1 Hour"), None),
        (("azure", "Storage", "Input tokens", "1K"), None),
        (("google", "Vertex AI", "Gemini 2.5 Flash Text Input - Predictions", "count"), ("gemini 2.5 flash", "input")),
        (("google", "Vertex AI", "Claude Sonnet 4 Output Tokens", "count"), ("claude sonnet 4", "output")),
        (("google", "Vertex AI", "Custom training N1 core", "hour"), None),
        (("google", "Cloud Storage", "Gemini input", "count"), None),
        (("openai", "API", "gpt-4o, input", "tokens"), ("gpt-4o", "input")),
        (("openai", "API", "Prepaid credits", "USD"), (None, None)),
        (
            ("anthropic", "Claude API", "Claude Sonnet 4.5 Usage - Input Tokens", "Tokens"),
            ("Claude Sonnet 4.5", "input"),
        ),
        (("anthropic", "Claude", "Team seats", "Seats"), None),
        (("anthropic", EDITION, "USE1-MP:USE1_InputTokenCount-Units", "Units"), ("Claude Sonnet 4.5", "input")),
        (("aws", "Amazon Bedrock", "USE1-NovaLite-input-tokens", "1K tokens"), ("NovaLite", "input")),
        (("acmecorp", "Widgets", "Token Purchase", "Token"), None),
    ],
)
def test_other_bills(line, found):
    assert on_bill(*line) == (None if found is None else Tokens(*found))
