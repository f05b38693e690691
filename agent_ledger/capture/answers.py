"""From the bytes of an HTTP answer to its decoded JSON, or the decoded events of its stream."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Sequence
from typing import Any

from agent_ledger.errors import UnknownUsage
from agent_ledger.usage import sse_events

_DELTA = re.compile(rb' ?\{"type": ?"(?:content_block_delta|response\.[a-z_.]+\.delta)"')
_TELLING = re.compile(
    rb'"(?:finish_reason|usage|service_tier|x_groq|prompt_filter_results|id|model|provider|error)"(?!: ?null)'
)
_LARGE = 50_000  # bytes
_AWS_DELTA = re.compile(rb'\{"type": ?"content_block_delta"')


def unpacked(kind: type[Any], headers: Any, parts: Sequence[bytes]) -> bytes:
    """The body of a response of the class `kind` of httpx or httpx2, of which these raw `parts` came, without its
    content encoding. What a broken connection left of a compressed body is unpacked as far as it goes."""
    if "content-encoding" not in headers:
        return b"".join(parts)
    response = kind(200, headers=headers, content=iter(parts))
    found: list[bytes] = []
    try:
        found.extend(response.iter_bytes())
    except Exception as error:  # of httpx or httpx2, neither of which is imported here
        if not found and parts:
            raise UnknownUsage(f"The answer can't be unpacked: {error}") from None
    return b"".join(found)


def decoded(data: bytes, content_type: str) -> tuple[Any, list[dict[str, Any]] | None]:
    """The body, and None; or None, and the events of a stream. Raises UnknownUsage for what is neither."""
    if "amazon.eventstream" in content_type:
        return None, aws_events(data)
    if "event-stream" in content_type or data.startswith((b"data:", b"event:")):
        return None, sse_events(telling(data))
    try:
        return (_without_vectors(data) or json.loads(data)), None
    except ValueError as error:
        raise UnknownUsage(f"The answer is not JSON ({error})") from None


def _without_vectors(data: bytes) -> Any:
    """A large answer with embeddings, without them: decoding a million numbers would take longer than all else. None:
    it is something else."""
    if len(data) < _LARGE or b'"embedding"' not in data[:300]:
        return None
    start, end = data.find(b'"data"'), data.rfind(b"]")
    try:
        body = json.loads(data[:start] + b'"data":[]' + data[end + 1 :])
    except ValueError:  # the last list was not that of the vectors
        return None
    return body if "model" in body and "usage" in body else None


def telling(data: bytes) -> bytes:
    """An event stream without the events that only carry text, which say nothing of usage.

    They are nearly all of a long stream, and decoding them would take as long as the rest of the bookkeeping together.
    What is left amounts to the same inferences.
    """
    kept: list[bytes] = []
    head = None
    for event in data.split(b"\ndata:"):
        if _DELTA.match(event):
            continue
        # In Chat Completions every chunk repeats what stands before its choices; after it the delta follows.
        start, choices, rest = event.partition(b'"choices"')
        if choices:
            if start == head and not _TELLING.search(rest):
                continue
            head = start
        kept.append(event)
    return b"\ndata:".join(kept)


def aws_events(data: bytes) -> list[dict[str, Any]]:
    """The payloads of application/vnd.amazon.eventstream as far as they came, without those that only carry text.

    Each message is: its length and that of its headers (4 bytes each), a checksum (4), headers, JSON, a checksum (4).
    InvokeModel wraps the model's own JSON once more. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/
    RESTSelectObjectAppendix.html, "Event stream encoding".
    """
    events = []
    start = 0
    while start + 12 <= len(data):
        length, headers = struct.unpack_from(">II", data, start)
        if length < 16 or start + length > len(data):
            break
        payload = data[start + 12 + headers : start + length - 4]
        start += length
        event = json.loads(payload) if payload else {}
        wrapped = event.get("bytes")
        if wrapped:
            inner = base64.b64decode(wrapped)
            if _AWS_DELTA.match(inner):
                continue
            event = json.loads(inner)
        events.append(event)
    return events


def json_lines(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects of a JSONL file, one per line; a last line that was cut off is left out."""
    lines = [line for line in data.split(b"\n") if line.strip()]  # not splitlines: U+2028 may stand in a string
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise
    return [line for line in found if isinstance(line, dict)]
