"""What providers also answer with, and what is no inference: errors, token counts, lists, jobs, stored things."""

from __future__ import annotations

import re

from agent_ledger.usage.counts import Body, objects

_OBJECTS = re.compile(
    r"error|model|file|upload|batch|response\.input_tokens|response\.deleted|conversation.*|vector_store.*|thread.*"
    r"|assistant.*|fine_tuning.*|eval.*|container.*|realtime\.(client_secret|session)"
)
_TYPES = {"error", "ping", "model", "file", "message_batch", "message_batch_deleted", "file_deleted"}
_COUNTED = (  # the answers to "how many tokens would this be?"
    {"input_tokens", "context_management"},  # Anthropic
    {"inputTokens", "ResponseMetadata"},  # Bedrock
    {"totalTokens", "totalBillableCharacters", "promptTokensDetails", "cachedContentTokenCount"},  # Gemini
    {"total_tokens", "total_billable_characters", "prompt_tokens_details", "cached_content_token_count"},
)
_REFUSED = (  # errors without a field of that name: AWS, and servers made with FastAPI
    {"message", "Message", "__type"},
    {"detail"},
)
_GOOGLE_NAME = re.compile(r"((tuned)?models|cachedContents|fileSearchStores|files|batches|operations|projects)/.+")


def is_no_inference(body: Body) -> bool:
    """Is `body` known, and nothing that a model was asked?

    Pages of OCR count as no inference: they are billed by the page, and no token was used.
    """
    if body.get("type") in _TYPES or _OBJECTS.fullmatch(str(body.get("object"))):
        return True
    if body.get("error") and not {"usage", "choices", "output", "usageMetadata"} & body.keys():
        return True
    if any(body.keys() and body.keys() <= names for names in (*_COUNTED, *_REFUSED)):
        return True
    if "candidates" not in body and _GOOGLE_NAME.fullmatch(str(body.get("name"))):
        return True
    return _is_list(body) or _is_moderation(body) or _is_secret(body) or ("pages" in body and "usage_info" in body)


def _is_list(body: Body) -> bool:
    listed = body.get("object") == "list" or "has_more" in body or "nextPageToken" in body
    return (listed and "usage" not in body) or isinstance(body.get("models"), list)


def _is_moderation(body: Body) -> bool:
    return any("flagged" in result or "categories" in result for result in objects(body, "results"))


def _is_secret(body: Body) -> bool:
    return {"expires_at", "value"} <= body.keys()  # for a realtime session; what it uses is said in the session
