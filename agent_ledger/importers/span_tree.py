"""What spans say about each other: whose agent made a call, which LLM call asked for a tool, and what is said twice.

The same rules hold for the spans of a file, where all are known, and for those of a running program, where children end
before their parents.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from agent_ledger.attribution import Attribution
from agent_ledger.importers import spans
from agent_ledger.importers.spans import Role, Span
from agent_ledger.records import Inference
from agent_ledger.usage.counts import text

_INFERENCE = tuple(one.name for one in fields(Inference))
_OURS = ("gen_ai.", "agent", "ai.", "graph.", "llm.", "mcp.", "openinference.", "session.", "tool", "traceloop.")
_INVALID_PARAMS = "-32602"  # JSON-RPC
_ANNOUNCING = re.compile(r"llm\.output_messages\..*\.tool_call\.id|gen_ai\.completion\.\d+\.tool_calls\.\d+\.id")
_PART_ID = re.compile(r'"(?:id|toolCallId)": ?"([^"\\]+)"')


@dataclass(frozen=True, slots=True)
class ToolMark:
    """What the span of a tool call says. `side`: the agent's, the MCP client's or the MCP server's."""

    name: str
    side: Literal["agent", "client", "server"]
    call_id: str | None = None
    server: str | None = None
    failed: bool = False
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What a span says to the spans below it."""

    role: Role | None = None
    agent: str | None = None
    session: str | None = None
    stated: Mapping[str, str] = field(default_factory=dict)
    tool: ToolMark | None = None


_NOTHING = Mark()


def mark(span: Span) -> Mark:
    """Everything but the tokens that the ledger wants to know of a span."""
    said = span.attributes
    if not any(name.startswith(_OURS) for name in said):
        return _NOTHING  # the spans of HTTP, databases and so on, which are the most
    what = spans.role(span)
    tool = _tool(span) if what == "tool" else None
    return Mark(what, spans.agent(span, what), spans.session(said), spans.stated(said), tool)


def _tool(span: Span) -> ToolMark:
    said = span.attributes
    mcp = "mcp.method.name" in said
    name = text(said, "gen_ai.tool.name", "tool.name", "mcp.tool.name", "ai.toolCall.name", "traceloop.entity.name")
    server = text(said, "fastmcp.server.name", "mcp.server.name", "anthropic.toolset.name")
    error = text(said, "error.type")
    return ToolMark(
        name=name or span.name.rpartition("tools/call ")[2].removeprefix("execute_tool ").strip() or "(unknown)",
        side=("server" if span.kind == "server" else "client") if mcp else "agent",
        call_id=text(said, "gen_ai.tool.call.id", "tool_call.id", "tool.id", "ai.toolCall.id"),
        server=server or (text(said, "server.address") if mcp else None),
        failed=span.failed,
        error_type="invalid_params" if error == _INVALID_PARAMS else error,
    )


@dataclass(slots=True, eq=False)
class Node:
    """A span among the others. `answers` are the LLM calls that ended inside, `announced` the tools they asked for."""

    parent: Node | None
    mark: Mark = _NOTHING
    start_ns: int = 0
    request_id: str | None = None  # of an LLM call that is in the ledger
    wraps: bool = False  # is there an LLM call inside, so that this one is only its wrapper?
    merged: bool = False  # is its tool call told by another span?
    heard: list[ToolMark] = field(default_factory=list)  # what spans of the same tool call said that are left out
    answers: list[tuple[int, str]] = field(default_factory=list)
    announced: dict[str, str] = field(default_factory=dict)

    def look(self) -> Mark:
        """What the span says by now."""
        return self.mark

    def up(self) -> Iterator[Node]:
        """The spans around this one, from the inside out."""
        node, seen = self.parent, {id(self)}
        while node is not None and id(node) not in seen:  # damaged files may have circles
            seen.add(id(node))
            yield node
            node = node.parent


# -- who --------------------------------------------------------------------------------------------------------------


def who(node: Node, here: Attribution, defaults: Attribution) -> Attribution:
    """Whose call a span stands for.

    Each value comes from the first that has it: `agent_ledger.…` attributes, on the span or on one around it; `here`,
    which is `attribute(…)` around the call; the agent and the conversation that the span or the nearest one around it
    names; `defaults`.
    """
    looks = [node.look(), *(around.look() for around in node.up())]
    stated: dict[str, str] = {}
    for look in looks:
        stated = {**look.stated, **stated}
    agent = next((look.agent for look in looks if look.agent), None)
    session = next((look.session for look in looks if look.session), None)
    return Attribution(
        agent_id=stated.get("agent_id") or here.agent_id or agent or defaults.agent_id,
        customer_id=stated.get("customer_id") or here.customer_id or defaults.customer_id,
        feature=stated.get("feature") or here.feature or defaults.feature,
        session_id=here.session_id or session or defaults.session_id,
        request_id=stated.get("request_id") or here.request_id,
    )


# -- LLM calls --------------------------------------------------------------------------------------------------------


def call_fields(
    found: Inference, span_key: str, provider_request_id: str | None, caller: Attribution
) -> dict[str, Any]:
    """The fields of `Call`, without time and agent where they are not known.

    The request id is the runtime's, the provider's, that of the response, or that of the span, whichever is known.
    """
    values = {name: getattr(found, name) for name in _INFERENCE}
    if caller.request_id and not found.response_id:
        values["response_id"] = span_key  # several calls of one request are told apart by their responses
    return values | {
        "request_id": caller.request_id or provider_request_id or found.response_id or span_key,
        "agent_id": caller.agent_id,
        "customer_id": caller.customer_id,
        "session_id": caller.session_id,
        "feature": caller.feature,
    }


def note_wrapped(node: Node) -> None:
    """There is an LLM call at `node`: LLM spans around it, up to an agent or a tool, say the same again."""
    for around in node.up():
        what = around.look().role
        if what in ("agent", "tool"):
            return
        around.wraps = around.wraps or what == "llm"


def note_answer(
    node: Node, end_ns: int, request_id: str, tool_call_ids: Iterable[str], *, most: int | None = None
) -> None:
    """The LLM call at `node` is over: the tools that run next, under the same agent, are those that it asked for.

    No span remembers more than the last `most` calls.
    """
    node.request_id = request_id
    top = node
    inside = True
    for around in node.up():
        top = around
        if inside:
            insort(around.answers, (end_ns, request_id))
            if most is not None:
                del around.answers[:-most]
            inside = around.look().role not in ("agent", "tool")
    for tool_call_id in tool_call_ids:
        top.announced[tool_call_id] = request_id
    while most is not None and len(top.announced) > most:
        del top.announced[next(iter(top.announced))]


def announced(said: Mapping[str, Any]) -> list[str]:
    """The ids of the tool calls that an LLM span asks for, where it records its output. Nothing else is read of it."""
    found = [value for name, value in said.items() if isinstance(value, str) and _ANNOUNCING.fullmatch(name)]
    for name in ("gen_ai.output.messages", "ai.response.toolCalls"):
        output = said.get(name)
        if isinstance(output, str) and "tool" in output:
            found += _PART_ID.findall(output)
    return sorted(set(found))


# -- tool calls -------------------------------------------------------------------------------------------------------


def asked_by(node: Node) -> str | None:
    """The request id of the LLM call that asked for the tool at `node`: the one that announced the tool call's id, else
    the last one under the same agent that ended before the tool started. None: not known."""
    tool = node.look().tool
    *_, top = (node, *node.up())
    if tool and tool.call_id in top.announced:
        return top.announced[tool.call_id]
    start = node.start_ns
    for around in node.up():
        look = around.look()
        if look.role == "llm" and around.request_id:
            return around.request_id
        ended = bisect_right(around.answers, start, key=lambda answer: answer[0])
        if ended:
            return around.answers[ended - 1][1]
        if look.role == "agent":
            return None
        if look.role == "tool":
            start = around.start_ns  # a tool that a tool called: who asked for the outer one?
    return None


def merge_tool(node: Node) -> None:
    """Decide between `node` and the span around it that tells of the same tool call; call it from the inside out.

    An agent's execute_tool, the MCP client's tools/call and the MCP server's are one tool call. The innermost of the
    agent's spans tells it, else the client's, else the server's; what the others know is added.
    """
    tool, outer = node.look().tool, _same_call(node)
    if tool is None or outer is None:
        return
    outer_tool = outer.look().tool
    if outer_tool and tool.side == outer_tool.side == "agent":
        outer.merged = True
        node.heard.append(outer_tool)
    else:
        node.merged = True
        outer.heard += [tool, *node.heard]


def _same_call(node: Node) -> Node | None:
    mine = node.look().tool
    for around in node.up():
        look = around.look()
        if look.tool and mine:
            ids = {look.tool.call_id, mine.call_id} - {None}
            return around if len(ids) < 2 and _same_name(look.tool.name, mine.name) else None
        if look.role is not None:
            return None
    return None


def _same_name(one: str, other: str) -> bool:
    """Agents know a tool of a server as server_tool, mcp__server__tool or server.tool."""
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return longer == shorter or (longer.endswith(shorter) and longer[-len(shorter) - 1] in "_-./:")


def tool_fields(node: Node, span: Span, caller: Attribution, request_id: str | None) -> dict[str, Any]:
    """The fields of `ToolCall`, without its time. `request_id` is that of the LLM call that asked for it."""
    tool = node.look().tool or _tool(span)
    told = [tool, *node.heard]
    duration = None if span.end_ns is None or span.start_ns is None else max(0, span.end_ns - span.start_ns)
    return {
        "tool": tool.name,
        "request_id": request_id,
        "tool_call_id": next((one.call_id for one in told if one.call_id), None) or span.key,
        "server": next((one.server for one in told if one.server), None),
        "agent_id": caller.agent_id,
        "duration_ms": None if duration is None else round(duration / 10**6),
        "status": "error" if any(one.failed for one in told) else "ok",
        "error_type": next((one.error_type for one in told if one.error_type), None),
    }
