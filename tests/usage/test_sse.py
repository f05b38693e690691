"""The event stream format, as far as providers use it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import UnknownUsage
from agent_ledger.usage import sse_events


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    text = end.join(["event: a", 'data: {"n": 1}', "", 'data: {"n": 2}', "", ""])
    assert sse_events(text.encode()) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"", []),
        (b": OPENROUTER PROCESSING\n\n: again\n\n", []),
        (b'data: {"n": 1}\n\ndata: [DONE]\n\n', [{"n": 1}]),
        (b'data: {"n": 1}\n\ndata: [DONE]', [{"n": 1}]),
        (b'\xef\xbb\xbfdata: {"n": 1}\n\n', [{"n": 1}]),
        (b'data:{"n": 1}\n\n', [{"n": 1}]),
        (b'data: {\ndata:  "n":\ndata: 1}\n\n', [{"n": 1}]),
        (b'id: 7\nretry: 10\nevent: x\ndata: {"n": 1}\nunknown\n\n', [{"n": 1}]),
        (b'data: {"n": 1}\n: a comment inside\n\n\n\ndata: {"n": 2}\n\n', [{"n": 1}, {"n": 2}]),
        (b"event: ping\ndata: \n\ndata\n\n", []),
        ('data: {"t": "a\u2028b\u0085c"}\n\n'.encode(), [{"t": "a\u2028b\u0085c"}]),
        (b'data: {"n": 1}', [{"n": 1}]),
        (b'data: {"n": 1}\n\ndata: {"n": 2, "te', [{"n": 1}]),
        (b'data: {"t": "\xff"}\n\n', [{"t": "\ufffd"}]),
    ],
)
def test_events(data: bytes, events: list[dict[str, Any]]) -> None:
    assert sse_events(data) == events


def test_what_is_no_json_is_refused_with_its_place() -> None:
    with pytest.raises(UnknownUsage, match=r"^Event 2 of the stream is not JSON \(.*\): pass the bytes"):
        sse_events(b'data: {"n": 1}\n\ndata: {"n": \n\ndata: {"n": 3}\n\n')
    with pytest.raises(UnknownUsage, match="Event 1 of the stream is not a JSON object"):
        sse_events(b"data: 7\n\n")


VALUES = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20), max_size=4)


@given(st.lists(VALUES, max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_what_was_written_is_read(events: list[dict[str, Any]], end: str, pretty: bool, ascii_: bool) -> None:
    parts = []
    for event in events:
        text = json.dumps(event, indent=1 if pretty else None, ensure_ascii=ascii_)
        parts += [f"data: {line}" for line in text.split("\n")] + [""]
    assert sse_events("".join(part + end for part in parts).encode()) == events
