"""Generated accounts: several rows that may tell of the same inference or tool call, as observers record them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from support import call, tool_call

from agent_ledger.validation import EVIDENCE

LONG, OTHER = "msg_01AbCdEfGhIjKlMnOpQrStUv", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """An account of one of a few inferences."""
    return call(
        agent_id=draw(st.sampled_from(["a", "a", "b", "(unattributed)"])),
        request_id=draw(st.sampled_from(["r", "s", LONG])),
        response_id=draw(st.sampled_from([None, "x", "y", LONG, OTHER])),
        part=draw(st.sampled_from([0, 0, 1])),
        evidence=draw(st.sampled_from(EVIDENCE)),
        prompt_tokens=draw(st.sampled_from([100, 101, None])),
        customer_id=draw(st.sampled_from([None, "acme", "Ünïcödé \t\\ \n🦊"])),
        reported_cost_usd=draw(st.sampled_from([None, 0.1, 1.5])),
        ts=f"2026-0{draw(st.sampled_from([1, 1, 2]))}-15T12:00:00.{draw(st.sampled_from(['000', '250']))}Z",
    )


@st.composite
def tool_calls(draw: st.DrawFn) -> dict[str, Any]:
    """An account of one of a few tool calls."""
    return tool_call(
        request_id=draw(st.sampled_from([None, "r", "s"])),
        tool_call_id=draw(st.sampled_from(["t1", "t2"])),
        status=draw(st.sampled_from([None, "ok", "error"])),
        resource_id=draw(st.sampled_from([None, "bucket"])),
        units=draw(st.sampled_from([None, 0.1, 3])),
        agent_id=draw(st.sampled_from([None, "a", "b"])),
    )
