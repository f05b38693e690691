from __future__ import annotations

import pytest

from agent_ledger.attribution import Attribution
from agent_ledger.importers import span_tree
from agent_ledger.importers.span_tree import Node, announced, asked_by, merge_tool, note_answer, note_wrapped, who
from agent_ledger.importers.spans import Span
from agent_ledger.records import Inference

NOBODY = Attribution()


def span(name="span", kind="internal", **attributes):
    said = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span("ab" * 16, "cd" * 8, name, said, kind=kind, start_ns=10**18, end_ns=10**18 + 83_000_000)


def node(parent=None, start=0, *, name="span", kind="internal", **attributes):
    return Node(parent, span_tree.mark(span(name, kind, **attributes)), start)


def agent(parent=None, **attributes):
    return node(parent, gen_ai__operation__name="invoke_agent", **attributes)


def llm(parent=None, **attributes):
    return node(parent, gen_ai__operation__name="chat", **attributes)


def tool(parent=None, tool_name="add", start=0, **attributes):
    said = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": tool_name, **attributes}
    return node(parent, start, **said)


def mcp(parent, tool_name="add", kind="client", **attributes):
    return node(
        parent, name=f"MCP send tools/call {tool_name}", kind=kind, mcp__method__name="tools/call", **attributes
    )


# -- who --------------------------------------------------------------------------------------------------------------


def test_the_nearest_agent_that_has_a_name():
    outer = agent(gen_ai__agent__name="planner", gen_ai__conversation__id="conv-1")
    inner = agent(outer)  # Anthropic's tool runner names none
    assert who(llm(node(inner)), NOBODY, NOBODY) == Attribution(agent_id="planner", session_id="conv-1")
    named = agent(outer, gen_ai__agent__name="worker")
    assert who(llm(node(named)), NOBODY, NOBODY).agent_id == "worker"
    assert who(llm(outer, gen_ai__agent__name="itself"), NOBODY, NOBODY).agent_id == "itself"


def test_the_order_of_what_is_said():
    named = agent(gen_ai__agent__name="by-span", agent_ledger__agent_id="stated", agent_ledger__customer_id="acme")
    here = Attribution(agent_id="here", customer_id="umbrella", session_id="s")
    assert who(llm(named), here, NOBODY) == Attribution("stated", "acme", None, "s")
    assert who(llm(named, agent_ledger__agent_id="nearer"), here, NOBODY).agent_id == "nearer"
    assert who(llm(agent(gen_ai__agent__name="by-span")), here, NOBODY).agent_id == "here"
    defaults = Attribution("default", "initech", "f", "s2")
    assert who(llm(agent(gen_ai__agent__name="by-span")), NOBODY, defaults) == Attribution(
        "by-span", "initech", "f", "s2"
    )
    assert who(llm(), NOBODY, defaults).agent_id == "default"
    assert who(llm(), NOBODY, NOBODY).agent_id is None


def test_a_circle_of_parents_ends():
    one = llm()
    one.parent = llm(one)
    assert len(list(one.up())) == 1
    assert who(one, NOBODY, NOBODY).agent_id is None


# -- LLM calls --------------------------------------------------------------------------------------------------------


def test_a_wrapper_of_an_llm_call_is_known_as_one():
    wrapper = llm(agent())
    note_wrapped(llm(node(wrapper)))
    assert wrapper.wraps
    caller = llm(agent())
    note_wrapped(llm(tool(caller)))  # a call that a tool makes is another one
    note_wrapped(llm(agent(caller)))
    assert not caller.wraps


def test_a_request_of_the_runtime_keeps_its_calls_apart():
    found = Inference(model="m", prompt_tokens=1, completion_tokens=1)
    run = Attribution("a", request_id="run")
    one, other = (span_tree.call_fields(found, key, "req_1", run) for key in ("t:1", "t:2"))
    assert one["request_id"] == other["request_id"] == "run"
    assert (one["response_id"], other["response_id"]) == ("t:1", "t:2")


# -- which LLM call asked for a tool ----------------------------------------------------------------------------------


def test_the_last_llm_call_before_the_tool():
    top = agent()
    note_answer(llm(node(top)), 20, "second", [])
    note_answer(llm(top), 10, "first", [])
    note_answer(llm(top), 30, "third", [])
    assert [asked_by(tool(top, start=start)) for start in (9, 10, 19, 20, 31)] == [
        None, "first", "first", "second", "third",
    ]  # fmt: skip
    assert asked_by(tool(node(top), start=25)) == "second"


def test_parallel_branches_keep_their_own():
    top = agent()
    left, right = node(top), node(top)
    note_answer(llm(left), 10, "left", [])
    note_answer(llm(right), 11, "right", [])
    assert asked_by(tool(left, start=20)) == "left"
    assert asked_by(tool(right, start=20)) == "right"


def test_calls_inside_another_agent_or_tool_ask_for_nothing_outside():
    top = agent()
    note_answer(llm(top), 10, "outer", [])
    caller = tool(top, "research", start=12)
    note_answer(llm(caller), 14, "inside a tool", [])
    note_answer(llm(agent(top)), 15, "inside an agent", [])
    assert asked_by(tool(top, start=20)) == "outer"
    assert asked_by(tool(caller, "search", start=20)) == "inside a tool"
    assert asked_by(tool(agent(top), start=20)) is None
    assert asked_by(tool(tool(top, "research", start=9), "search", start=20)) is None  # as the outer tool
    assert asked_by(tool(tool(top, "research", start=11), "search", start=20)) == "outer"


def test_a_tool_inside_its_llm_call():
    call = llm(agent())
    note_answer(call, 30, "around", [])
    assert asked_by(tool(call, start=20)) == "around"


def test_an_announced_id_beats_the_order():
    top = agent()
    note_answer(llm(top), 10, "asked", ["toolu_1"])
    note_answer(llm(top), 20, "later", ["toolu_2"])
    assert asked_by(tool(top, start=30, gen_ai__tool__call__id="toolu_1")) == "asked"
    assert asked_by(tool(top, start=30, gen_ai__tool__call__id="toolu_9")) == "later"


def test_only_the_last_calls_are_remembered_where_that_is_asked_for():
    top = agent()
    for end in range(10):
        note_answer(llm(top), end, str(end), [f"toolu_{end}"], most=3)
    assert len(top.answers) == len(top.announced) == 3
    assert asked_by(tool(top, start=30)) == "9"


def test_announced_ids_of_every_emitter():
    semconv = '[{"role":"assistant","parts":[{"arguments":{"a":1},"name":"add","id":"toolu_1","type":"tool_call"}]}]'
    assert announced({"gen_ai.output.messages": semconv}) == ["toolu_1"]
    assert announced({"gen_ai.output.messages": '[{"parts":[{"type":"text","content":"\\"id\\": \\"no\\""}]}]'}) == []
    assert announced({"gen_ai.completion.0.tool_calls.1.id": "call_2"}) == ["call_2"]
    inference = "llm.output_messages.0.message.{}.tool_call.id"
    both = {inference.format("tool_calls.0"): "toolu_3", inference.format("contents.1"): "toolu_3"}
    assert announced(both) == ["toolu_3"]
    assert announced({"llm.input_messages.0.message.tool_calls.0.tool_call.id": "before"}) == []
    assert announced({"ai.response.toolCalls": '[{"toolCallId":"call_4","toolName":"add"}]'}) == ["call_4"]
    assert announced({"gen_ai.output.messages": 3}) == []


# -- one tool call, told by several spans -----------------------------------------------------------------------------


def kept(*nodes):
    """The names of those that become rows, after they ended from the inside out."""
    for one in reversed(nodes):
        merge_tool(one)
    return [index for index, one in enumerate(nodes) if not one.merged]


def test_the_agent_the_client_and_the_server_tell_of_one_call():
    top = tool(agent(), gen_ai__tool__call__id="toolu_1")
    client = mcp(node(top))
    server = mcp(client, kind="server", fastmcp__server__name="calc", error__type="tool_error")
    inside = tool(server)
    assert kept(top, client, server, inside) == [0]
    fields = span_tree.tool_fields(top, span(), Attribution("a"), "req")
    assert fields == {
        "tool": "add",
        "request_id": "req",
        "tool_call_id": "toolu_1",
        "server": "calc",
        "agent_id": "a",
        "duration_ms": 83,
        "status": "error",
        "error_type": "tool_error",
    }


def test_without_the_agent_the_client_tells_it_and_without_a_client_the_server():
    fastmcp = mcp(agent())
    sdk = mcp(fastmcp)
    assert kept(fastmcp, sdk, mcp(sdk, kind="server")) == [0]
    assert kept(mcp(None, kind="server")) == [0]


def test_the_innermost_of_the_agents_own_spans():
    outer = tool(agent(), gen_ai__tool__call__id="toolu_1")
    inner = tool(outer, "add")
    assert kept(outer, inner, mcp(inner)) == [1]
    assert span_tree.tool_fields(inner, span(), NOBODY, None)["tool_call_id"] == "toolu_1"


@pytest.mark.parametrize("known_as", ["add", "calc_add", "mcp__calc__add", "calc.add", "calc-add"])
def test_agents_put_the_server_before_the_name(known_as):
    outer = tool(agent(), known_as)
    assert kept(outer, mcp(outer)) == [0]


def test_two_tools_are_two_calls():
    outer = tool(agent(), "research")
    assert kept(outer, mcp(outer, "search")) == [0, 1]
    padded = tool(agent(), "padd")
    assert kept(padded, mcp(padded, "add")) == [0, 1]
    first = tool(agent(), gen_ai__tool__call__id="toolu_1")
    assert kept(first, tool(first, gen_ai__tool__call__id="toolu_2")) == [0, 1]
    delegating = tool(agent(), "delegate")
    assert kept(delegating, tool(agent(delegating), "delegate")) == [0, 1]


def test_what_a_tool_span_says():
    bare = span_tree.tool_fields(
        node(None, name="execute_tool add", gen_ai__operation__name="execute_tool"), span(), NOBODY, None
    )
    assert (bare["tool"], bare["server"], bare["status"], bare["error_type"]) == ("add", None, "ok", None)
    assert bare["tool_call_id"] == f"{'ab' * 16}:{'cd' * 8}"
    refused = mcp(None, kind="server", error__type="-32602", server__address="10.0.0.1")
    said = span_tree.tool_fields(refused, span(), NOBODY, None)
    assert (said["tool"], said["server"], said["status"], said["error_type"]) == (
        "add", "10.0.0.1", "error", "invalid_params",
    )  # fmt: skip
