"""One answer of Amazon Bedrock that may become rows: the operations that infer, streamed or not.

Source: botocore 1.44.5 `bedrock-runtime`; the counts in headers:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agent_ledger.capture.botocore_tee import tee
from agent_ledger.capture.exchange import Exchange, never_raising
from agent_ledger.errors import UnknownUsage
from agent_ledger.usage import inferences

OPERATIONS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream")

_DELTA = re.compile(rb'\{"type": ?"content_block_delta"|\{"contentBlockDelta"')
_HEADERS = {  # as the metrics at the end of a stream name them
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": "x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": "x-amzn-bedrock-cache-write-input-token-count",
}


def deliver(operation: str, exchange: Exchange, parsed: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """A good answer is there: `parsed` is what the caller is about to get, whose streams are unread. Raises only for an
    answer whose shape is not botocore's."""
    metadata = parsed["ResponseMetadata"]
    exchange.answered(metadata.get("RequestId"))
    if operation == "Converse":
        exchange.body(parsed)
    elif operation == "ConverseStream":
        tee(parsed["stream"], _Events(exchange, metadata))
    elif operation == "InvokeModel":
        tee(parsed["body"], _Body(exchange, metadata, headers))
    else:
        tee(parsed["body"], _Chunks(exchange, metadata))


class _Events:
    """The events of ConverseStream. Those that carry text say nothing of usage."""

    def __init__(self, exchange: Exchange, metadata: Mapping[str, Any]) -> None:
        self._exchange = exchange
        self._events: list[Mapping[str, Any]] = []
        self._metadata = {"ResponseMetadata": metadata}

    @never_raising
    def came(self, piece: Any) -> None:
        if "contentBlockDelta" not in piece:
            self._keep(piece, last="metadata" in piece)

    def _keep(self, event: Mapping[str, Any], *, last: bool) -> None:
        self._events.append(event)
        if last:  # the stream is in a cycle of botocore's: when the caller lets go of it can be told late only
            self.ended(complete=True)

    @never_raising
    def ended(self, *, complete: bool) -> None:
        events, self._events = self._events, []
        # An exchange that is over hears nothing more.
        self._exchange.events([*events, self._metadata] if events else [], complete=complete)


class _Chunks(_Events):
    """The events of InvokeModelWithResponseStream, which carry JSON of the model's vendor."""

    @never_raising
    def came(self, piece: Any) -> None:
        data = piece.get("chunk", {}).get("bytes", b"")
        if data and not _DELTA.match(data):
            event = json.loads(data)
            self._keep(event, last="amazon-bedrock-invocationMetrics" in event)


class _Body:
    """The body of InvokeModel: JSON of the model's vendor. Where that has no counts, the headers have."""

    def __init__(self, exchange: Exchange, metadata: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self._exchange = exchange
        self._metadata = {"ResponseMetadata": metadata}
        self._counts = _counts(headers)
        length = headers.get("content-length", "")
        self._missing = int(length) if length.isdecimal() else None  # bytes
        self._parts: list[bytes] = []

    @never_raising
    def came(self, piece: Any) -> None:
        self._parts.append(piece)
        if self._missing is not None:
            self._missing -= len(piece)
            if self._missing <= 0:
                self.ended(complete=True)

    @never_raising
    def ended(self, *, complete: bool) -> None:  # noqa: ARG002  # what is cut off is no JSON
        parts, self._parts = self._parts, []
        try:
            body = json.loads(b"".join(parts))
        except ValueError:
            body = None
        if isinstance(body, Mapping):
            body = {**body, **self._metadata}
        if self._counts and not self._tells(body):
            body = {"amazon-bedrock-invocationMetrics": self._counts, **self._metadata}
        if body is None:
            self._exchange.events([], complete=False)
        else:
            self._exchange.body(body)

    def _tells(self, body: Any) -> bool:
        try:
            found = inferences(body, model="(any)")
        except UnknownUsage:
            return False
        return all(one.prompt_tokens is not None and one.completion_tokens is not None for one in found)


def _counts(headers: Mapping[str, str]) -> dict[str, int]:
    """The counts in the headers, none where there is none of the input. What wrote nothing names no output."""
    found = {name: headers.get(header, "") for name, header in _HEADERS.items()}
    counts = {name: int(text) for name, text in found.items() if text.isdecimal()}
    return {"outputTokenCount": 0, **counts} if "inputTokenCount" in counts else {}
