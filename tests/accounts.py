"""Generated accounts: several rows that may tell of the same inference or tool call, as observers record them."""

from __future__ import annotations

import random
from typing import Any, Final

from hypothesis import strategies as st
from support import call, tool_call

from agent_ledger.validation import EVIDENCE

_LONG, _OTHER = "msg_01AbCdEfGhIjKlMnOpQrStUv", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"
_CALL: Final[dict[str, list[Any]]] = {
    "agent_id": ["a", "a", "b", "(unattributed)"],
    "request_id": ["r", "s", _LONG],
    "response_id": [None, "x", "y", _LONG, _OTHER],
    "part": [0, 0, 1],
    "evidence": list(EVIDENCE),
    "prompt_tokens": [100, 101, None],
    "customer_id": [None, "acme", "Ünïcödé \t\\ \n🦊"],
    "reported_cost_usd": [None, 0.1, 1.5],
    "ts": [f"2026-0{month}-15T12:00:00.{rest}Z" for month in (1, 2) for rest in ("000", "250")],
}
_TOOL_CALL: Final[dict[str, list[Any]]] = {
    "request_id": [None, "r", "s"],
    "tool_call_id": ["t1", "t2"],
    "status": [None, "ok", "error"],
    "resource_id": [None, "bucket"],
    "units": [None, 0.1, 3],
    "agent_id": [None, "a", "b"],
}


def calls() -> st.SearchStrategy[dict[str, Any]]:
    """An account of one of a few inferences."""
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in _CALL.items()}).map(
        lambda fields: call(**fields)
    )


def tool_calls() -> st.SearchStrategy[dict[str, Any]]:
    """An account of one of a few tool calls."""
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in _TOOL_CALL.items()}).map(
        lambda fields: tool_call(**fields)
    )


def of_group(chance: random.Random, group: int) -> dict[str, Any]:
    """An account of an inference or a tool call of a group that has nothing to do with others."""
    choices = chance.choice([_CALL, _CALL, _TOOL_CALL])
    fields = {name: chance.choice(values) for name, values in choices.items()}
    for name in ("request_id", "response_id", "tool_call_id"):
        if fields.get(name) is not None:
            fields[name] = f"{fields[name]} {group}"
    return (call if choices is _CALL else tool_call)(**fields)
