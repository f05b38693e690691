"""What LiteLLM logged: rows of its table LiteLLM_SpendLogs, and StandardLoggingPayloads, which its loggers write.

Source: litellm 1.106, `proxy/spend_tracking/spend_tracking_utils.py`, `litellm_core_utils/litellm_logging.py`.

- LiteLLM counts all input as prompt tokens, cache reads and writes included, for every provider.
- What it spent is its own computation by its own price list and no provider's word, so it is not kept as
  `reported_cost_usd`: the ledger prices the tokens itself. Only OpenRouter's own cost is.
- Failures and hits of LiteLLM's own cache cost nothing and are no calls. A stream that broke has its counts so far.
- The agent is the one that LiteLLM bills, else `agent_id` in the row or in the request's metadata, else a tag
  `agent:…`. `customer_id` (else LiteLLM's end user), `session_id` and `feature` are found in the same places.
- The model is what the response names; SpendLogs keep only what was asked for.
- A batch is one call: of its rows only that with the tokens makes one, under the batch's id.
- Of a streamed answer LiteLLM keeps the sum of Anthropic's iterations, all at the model of the request; where a server
  sends no counts it may count itself; and Anthropic's reasoning it estimates where the answer does not say.
- Where LiteLLM made up the id of the response, a payload has the provider's request id in common with what others saw
  of the call, and a row of SpendLogs the made-up id, which callers of the proxy see. These two have nothing in common:
  import the one or the other.
- What is billed by the image, second or page has no tokens, and is refused if it cost anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import fields, lines, litellm_usage, objects
from agent_ledger.importers.litellm_usage import Record, number, section
from agent_ledger.records import Call, Fact, Refused, ToolCall

_HITS = (True, "True", "true")
_NOTHING = (None, "", "None", "null")  # Python's None and JSON's null arrive as text
_CHAT = (
    *("completion", "text_completion", "responses", "anthropic_messages", "generate_content"),
    *("generate_content_stream", "embedding"),
)
_PARTS = {"metadata": dict, "response": dict, "hidden_params": dict, "request_tags": list}
_UNIQUE = 20  # shorter ids repeat
_WHO = ("agent_id", "customer_id", "feature", "session_id")
_TOLD_BY_USER = ("spend_logs_metadata", "requester_metadata")


class LiteLLM:
    """Reads exports of SpendLogs and logged payloads; both kinds may stand in one file."""

    name = "litellm"
    summary = "LiteLLM: LiteLLM_SpendLogs (JSON, JSONL, or CSV from psql), or logged StandardLoggingPayloads"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSON, JSONL and CSV below a folder."""
        return lines.found(path, objects.SUFFIXES)

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """A call or a tool call per record; several calls where one response holds several inferences."""
        for item in objects.objects(file, advance):
            if isinstance(item, Refused):
                yield item
            else:
                line, where, record = item
                yield from fields.checked(line, lambda record=record: facts(record, defaults), where)  # type: ignore[misc]


def facts(record: Mapping[str, Any], defaults: Defaults) -> list[Call | ToolCall]:
    """What a SpendLogs row or a StandardLoggingPayload tells: calls, or one tool call, or nothing that was billed.

    What the record says of who called comes before `defaults`.
    Raises InvalidRecord or UnknownUsage for a record that can't be read or is neither.
    """
    log = _opened(record)
    if section(log, "metadata", "mcp_tool_call_metadata") or log.get("mcp_namespaced_tool_name"):
        return [_tool_call(log, defaults)]
    failed = _failed(log)
    if log.get("cache_hit") in _HITS:
        return []
    counted = bool(number(log, "prompt_tokens") or number(log, "completion_tokens"))
    if not counted and not _counts_unknown(log, failed):
        return []
    found = fields.understood(lambda: litellm_usage.inferences(log))
    who = _who(log, defaults)
    evidence = "partial" if failed else "log"
    request_id = provider_request_id(log)
    return [
        fields.call(
            inference,
            provider=inference.provider or defaults.provider,
            response_id=_response_id(log, request_id),
            evidence=evidence,
            agent_id=fields.agent(who, defaults),
            request_id=request_id or _distinct_id(log) or fields.digest_id(record),
            ts=_moment(log),
            customer_id=fields.text(who, "customer_id") or defaults.customer_id,
            session_id=fields.text(who, "session_id") or defaults.session_id,
            feature=fields.text(who, "feature") or defaults.feature,
        )
        for inference in found
    ]


def own_id(log: Record) -> str | None:
    """What LiteLLM calls the record: the id of the response, or one that LiteLLM made."""
    for name in ("request_id", "id", "litellm_call_id"):
        value = log.get(name)
        if value not in _NOTHING:
            return str(value).removesuffix("_batch_cost")  # the row that has the tokens of a whole batch
    return None


def _distinct_id(log: Record) -> str | None:
    """What tells the call from all others: the key of the table, or the id of the response if it is a long one.

    Some servers only count their responses, and begin again; then it is LiteLLM's id of the call.
    """
    found, call_id = own_id(log), log.get("litellm_call_id")
    if "request_id" in log or _is_batch(log) or (found and len(found) >= _UNIQUE) or call_id in _NOTHING:
        return found
    return str(call_id)


def _is_batch(log: Record) -> bool:
    return "batch" in str(log.get("call_type"))


def provider_request_id(log: Record) -> str | None:
    """The provider's id of the request, from the headers of its answer; SpendLogs don't keep it."""
    headers = section(log, "hidden_params", "additional_headers")
    for name in ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id"):
        value = headers.get(f"llm_provider-{name}")
        if value not in _NOTHING:
            return str(value)
    return None


def _response_id(log: Record, request_id: str | None) -> str | None:
    """The id of the response, where the provider gave it.

    Where LiteLLM translates (Anthropic, Bedrock, …) it makes up an id, and the provider's is lost. Then the request's
    id is what another account of the call has in common with this one, if it is known.
    """
    if _is_batch(log):
        return None
    found = litellm_usage.response_id(own_id(log))
    if found is None or found == log.get("litellm_call_id"):
        return None
    return None if request_id and litellm_usage.is_made_up(found, log) else found


def _opened(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its columns of JSON decoded; what is empty or of another shape is left out."""
    if "call_type" not in record or ("request_id" not in record and "id" not in record):
        raise UnknownUsage("This is neither a row of LiteLLM_SpendLogs nor a StandardLoggingPayload.")
    log = dict(record)
    for name, kind in _PARTS.items():
        value = log.get(name)
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                if name == "metadata":
                    raise InvalidRecord(name, value, "it is cut off, or is not JSON") from None
        log[name] = value if isinstance(value, kind) else kind()
    return log


def _failed(log: Record) -> bool:
    return "failure" in (log.get("status"), section(log, "metadata").get("status"))


def _counts_unknown(log: Record, failed: bool) -> bool:
    """Was there a call whose tokens nobody knows? Raises UnknownUsage for one that is not billed by tokens."""
    kind = str(log.get("call_type"))
    if failed:
        return False
    if kind in _CHAT or (kind.startswith("a") and kind[1:] in _CHAT):  # acompletion, …
        return True
    spend = number(log, "spend") or number(log, "response_cost")
    if spend:
        raise UnknownUsage(
            f"The {log.get('call_type')} of {log.get('model')} cost {spend} dollars by LiteLLM's list, and not by "
            "tokens: only calls that are billed by tokens can be recorded."
        )
    return False


def _who(log: Record, defaults: Defaults) -> dict[str, str | None]:
    metadata = section(log, "metadata")
    told = [part for name in _TOLD_BY_USER if isinstance(part := metadata.get(name), dict)]
    tags = dict(tag.split(":", 1) for tag in log["request_tags"] if isinstance(tag, str) and ":" in tag)
    agents = [log.get("billing_agent_id"), metadata.get("billing_agent_id"), log.get("agent_id")]
    who = {
        name: _first(*(part.get(name) for part in told), tags.get(name), tags.get(name.removesuffix("_id")))
        for name in _WHO
    }
    who["agent_id"] = _first(*agents, who["agent_id"])
    who["customer_id"] = _first(who["customer_id"], log.get("end_user"))
    # LiteLLM makes up a trace for each call that has none.
    who["session_id"] = _first(who["session_id"], log.get("session_id"), defaults.session_id, log.get("trace_id"))
    return who


def _first(*values: object) -> str | None:
    return next((str(value).strip() for value in values if value not in _NOTHING and str(value).strip()), None)


def _moment(log: Record) -> str:
    value = log.get("startTime")
    try:
        return fields.moment(float(value) if isinstance(value, str) else value, "startTime", "the record has no time")
    except ValueError:
        return fields.moment(value, "startTime", "the record has no time")


def _tool_call(log: Record, defaults: Defaults) -> ToolCall:
    """A tool of an MCP server that was called through LiteLLM. Which LLM call asked for it, LiteLLM does not say."""
    call = section(log, "metadata", "mcp_tool_call_metadata")
    whole = _first(call.get("namespaced_tool_name"), log.get("mcp_namespaced_tool_name")) or ""
    tool = _first(call.get("name")) or whole.rpartition("/")[2]
    server = _first(call.get("mcp_server_name")) or whole.removesuffix(tool).rstrip("/-_")
    arguments = call.get("arguments")
    cost = number(log, "spend") or number(log, "response_cost")
    return ToolCall(
        tool=tool,
        server=server or None,
        ts=_moment(log),
        tool_call_id=own_id(log) or fields.digest_id(log),
        agent_id=_who(log, defaults)["agent_id"] or defaults.agent_id,
        cost_usd=float(cost) if cost else None,
        duration_ms=_duration(log),
        status="error" if _failed(log) else "ok",
        arguments_digest=fields.digest(arguments) if isinstance(arguments, dict) else None,
    )


def _duration(log: Record) -> int | None:
    told = number(log, "request_duration_ms")
    if told is not None:
        return int(told)
    start, end = number(log, "startTime"), number(log, "endTime")
    return None if start is None or end is None else max(0, round((end - start) * 1000))


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `litellm`."""
    register(LiteLLM())
