from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from replay import (
    Answer,
    Replay,
    anthropic_message,
    anthropic_stream,
    openai_completion,
    openai_response,
    openai_stream,
)
from support import counted

from agent_ledger import attribution
from agent_ledger.attribution import attribute, propagate

# LiteLLM leaves connections and coroutines behind; warnings from its own code are its own affair.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm.*"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning"),
]

CLAUDE, GPT = "anthropic/claude-sonnet-4-5-20250929", "openai/gpt-4o"
MESSAGES = [{"role": "user", "content": "Pay?"}]
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def litellm():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches its prices
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("litellm", reason="LiteLLM is tested in an environment of its own")
    found.suppress_debug_info = found.disable_aiohttp_transport = True
    yield found
    found.in_memory_llm_clients_cache.flush_cache()
    gc.collect()  # while the warnings of its connections are still passed over


@pytest.fixture
def logger(litellm, ledger):
    from agent_ledger.capture.litellm import LedgerLogger

    made = LedgerLogger(ledger, agent_id="default")
    litellm.callbacks = [made]
    yield made
    litellm.logging_callback_manager._reset_all_callbacks()
    litellm.callbacks, litellm.cache = [], None


@pytest.fixture
def recorded(ledger, logger):  # noqa: ARG001
    """Waits for a number of rows: LiteLLM tells of calls in threads of its own."""

    def wait(count):
        end = time.monotonic() + 8
        while len(found := ledger.rows("ledger")) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(found) == count
        return found

    return wait


def claude(server, **more):
    return {"model": CLAUDE, "messages": MESSAGES, "api_base": server.url, "api_key": "x", **more}


def gpt(server, **more):
    return {"model": GPT, "messages": MESSAGES, "api_base": server.url, "api_key": "x", **more}


def run(coroutine, logger):
    """Runs `coroutine` until LiteLLM has told of all that it began."""

    async def go():
        result = await coroutine
        end = time.monotonic() + 8
        while logger._begun and time.monotonic() < end:
            await asyncio.sleep(0.005)
        return result

    return asyncio.run(go())


async def consumed(stream):
    return [chunk async for chunk in await stream]


# -- one call, one row ------------------------------------------------------------------------------------------------

SAID = {
    "claude": (claude, CLAUDE.partition("/")[2], "anthropic", 1200, 300, "req_1", None),
    "gpt": (gpt, "gpt-4o", "openai", 100, 20, "req_1", openai_completion()["id"]),
}


def answer(kind, stream):
    if kind == "claude":
        return Answer.sse(anthropic_stream(), request_id="req_1") if stream else _json(anthropic_message())
    return Answer.sse(openai_stream(), done=True, x_request_id="req_1") if stream else _json(openai_completion())


def _json(body, request_id="req_1"):
    return Answer.json(body, **{"request_id" if body.get("type") == "message" else "x_request_id": request_id})


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_call_is_a_row(litellm, logger, recorded, kind, stream, awaited):
    make, model, provider, prompt, completion, request_id, response_id = SAID[kind]
    options = {"stream": True, **USAGE} if stream else {}
    with Replay(answer(kind, stream)) as server, attribute(agent_id="a", customer_id="acme", feature="f"):
        if awaited and stream:
            assert run(consumed(litellm.acompletion(**make(server, **options))), logger)
        elif awaited:
            assert run(litellm.acompletion(**make(server)), logger).choices[0].message.content == "Paid."
        else:
            found = litellm.completion(**make(server, **options))
            assert list(found) if stream else found.choices[0].message.content == "Paid."
        (row,) = recorded(1)
    assert row["model"].startswith(model)
    assert (row["provider"], row["prompt_tokens"], row["completion_tokens"]) == (provider, prompt, completion)
    assert (row["request_id"], row["response_id"], row["evidence"]) == (request_id, response_id, "log")
    assert (row["agent_id"], row["customer_id"], row["feature"], row["session_id"]) == ("a", "acme", "f", None)
    assert (row["anomaly"], row["reported_cost_usd"]) == (None, None)


def test_embeddings(litellm, recorded):
    body = {"object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 7, "total_tokens": 7},
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]}  # fmt: skip
    with Replay(Answer.json(body, x_request_id="req_1")) as server:
        litellm.embedding(model="openai/text-embedding-3-small", input=["x"], api_base=server.url, api_key="x")
        (row,) = recorded(1)
    assert (row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("text-embedding-3-small", 7, 0)
    assert (row["request_id"], row["response_id"], row["agent_id"]) == ("req_1", None, "default")


def test_responses_and_messages_keep_the_providers_ids(litellm, logger, recorded):
    with Replay(_json(openai_response())) as server:
        litellm.responses(model="openai/gpt-5", input="x", api_base=server.url, api_key="x")
        (row,) = recorded(1)
    assert (row["model"], row["response_id"]) == ("gpt-5-2025-08-07", openai_response()["id"])
    with Replay(_json(anthropic_message(), "req_2")) as server:
        run(litellm.anthropic.messages.acreate(**claude(server), max_tokens=9), logger)
        row = recorded(2)[1]
    assert (row["request_id"], row["response_id"]) == ("req_2", anthropic_message()["id"])


def test_the_router_names_the_model_that_answered(litellm, recorded):
    with Replay(_json(openai_completion())) as server:
        deployment = {"model": GPT, "api_base": server.url, "api_key": "x"}
        router = litellm.Router(model_list=[{"model_name": "alias", "litellm_params": deployment}])
        router.completion(model="alias", messages=MESSAGES)
        (row,) = recorded(1)
    assert (row["model"], row["provider"], row["session_id"]) == ("gpt-4o-2024-08-06", "openai", None)


def test_retries_are_one_call(litellm, recorded):
    error = Answer(b'{"error": {"type": "api_error", "message": "no"}}', status=500)
    with Replay(error, _json(anthropic_message())) as server:
        litellm.completion(**claude(server, num_retries=2))
        assert len(server.requests) == 2
    with Replay(error, _json(openai_completion(), "req_2")) as server:
        litellm.completion(**gpt(server, max_retries=2))
        assert len(server.requests) == 2
    assert [row["request_id"] for row in recorded(2)] == ["req_1", "req_2"]


def test_failures_are_no_calls(litellm, logger, recorded):
    error = Answer(b'{"error": {"type": "invalid_request_error", "message": "no"}}', status=400)
    with Replay(error, error, _json(anthropic_message())) as server:
        with pytest.raises(litellm.BadRequestError):
            litellm.completion(**claude(server))
        with pytest.raises(litellm.BadRequestError):
            run(litellm.acompletion(**claude(server)), logger)
        litellm.completion(**claude(server))
    recorded(1)
    assert not logger._begun


def test_hits_of_litellms_cache_are_no_calls(litellm, recorded):
    pytest.importorskip("fastapi", reason="LiteLLM's cache needs parts of its proxy")
    pytest.importorskip("soundfile", reason="LiteLLM's cache needs parts of its proxy")
    litellm.cache = litellm.Cache(type="local")
    with Replay(_json(anthropic_message()), _json(anthropic_message(), "req_2")) as server:
        for _ in range(3):
            litellm.completion(**claude(server, caching=True))
        assert len(server.requests) == 1
        litellm.cache = None
        litellm.completion(**claude(server))
        assert sorted(row["request_id"] for row in recorded(2)) == ["req_1", "req_2"]


def test_a_stream_that_breaks_has_its_counts_so_far(litellm, logger, recorded):
    start = anthropic_stream()[:4]
    with Replay(Answer(Answer.sse(start).body, headers={"content-type": "text/event-stream"}, cut=True)) as server:
        with pytest.raises(Exception, match=r".+"):  # which one is LiteLLM's affair
            run(consumed(litellm.acompletion(**claude(server, stream=True))), logger)
        (row,) = recorded(1)
    assert (row["evidence"], row["prompt_tokens"], row["agent_id"]) == ("partial", 1200, "default")


def test_c35_a_stream_without_usage_has_unknown_tokens(litellm, recorded):
    with Replay(Answer.sse(openai_stream(with_usage=False), done=True, x_request_id="req_1")) as server:
        list(litellm.completion(**gpt(server, stream=True)))
        (row,) = recorded(1)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (None, None)
    assert "include_usage" in row["anomaly"]


def test_what_both_events_tell_of_is_recorded_once(litellm, logger, recorded, ledger):  # noqa: ARG001
    told = []
    ledger.subscribe(lambda table, fields: told.append((table, fields["request_id"])))
    kwargs = {"litellm_call_id": "c", "standard_logging_object": _payload()}
    logger.log_success_event(kwargs=kwargs, response_obj=None, start_time=None, end_time=None)
    asyncio.run(logger.async_log_success_event(kwargs=kwargs, response_obj=None, start_time=None, end_time=None))
    assert told == [("ledger", "req_1")]


# -- who called -------------------------------------------------------------------------------------------------------


def test_the_metadata_of_a_call_comes_first(litellm, recorded):
    told = {"agent_id": "told", "session_id": "s", "feature": "search"}
    with Replay(_json(anthropic_message()), _json(anthropic_message(), "req_2")) as server:
        with attribute(agent_id="a", customer_id="acme", session_id="outside"):
            litellm.completion(**claude(server, metadata=told))
            litellm.completion(**claude(server, litellm_session_id="s2"))
        rows = {row["request_id"]: row for row in recorded(2)}
    first, second = rows["req_1"], rows["req_2"]
    assert (first["agent_id"], first["customer_id"], first["session_id"], first["feature"]) == (
        "told", "acme", "s", "search",
    )  # fmt: skip
    assert (second["agent_id"], second["session_id"]) == ("a", "s2")


def test_threads_and_streams_never_cross(litellm, recorded):
    def respond(request):
        agent = json.loads(request.body)["messages"][0]["content"][0]["text"]
        return Answer.sse(anthropic_stream(f"msg_{agent}"), request_id=f"req_{agent}")

    def work(agent):
        with attribute(agent_id=agent):
            messages = [{"role": "user", "content": agent}]
            stream = litellm.completion(**claude(server, stream=True) | {"messages": messages})
            with attribute(agent_id="somebody else"):  # whoever reads the stream, it is the caller's
                list(stream)

    agents = [f"agent-{number}" for number in range(24)]
    with Replay(respond) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, agents))
        rows = recorded(24)
    assert {row["request_id"]: row["agent_id"] for row in rows} == {f"req_{agent}": agent for agent in agents}


def test_tasks_never_cross(litellm, logger, recorded):
    def respond(request):
        agent = json.loads(request.body)["messages"][0]["content"]
        if json.loads(request.body).get("stream"):
            return Answer.sse(openai_stream(f"chatcmpl-{agent:0>24}"), done=True, x_request_id=f"req_{agent}")
        return Answer.json(openai_completion(f"chatcmpl-{agent:0>24}"), x_request_id=f"req_{agent}")

    async def work(number):
        agent = f"agent-{number}"
        with attribute(agent_id=agent):
            options = gpt(server, stream=True, **USAGE) if number % 2 else gpt(server)
            found = await litellm.acompletion(**options | {"messages": [{"role": "user", "content": agent}]})
            if number % 2:
                assert [chunk async for chunk in found]
            else:
                assert attribution.last_request_id() == f"req_{agent}", "known before the agent goes on"

    async def everybody():
        with attribute(agent_id="outside"):
            await asyncio.gather(*(work(number) for number in range(40)))

    with Replay(respond) as server:
        run(everybody(), logger)
        rows = recorded(40)
    assert {row["request_id"]: row["agent_id"] for row in rows} == {f"req_agent-{n}": f"agent-{n}" for n in range(40)}


def test_tool_calls_join_to_the_call_before_them(litellm, logger, recorded, ledger):
    @ledger.tool(server="s3")
    def look():
        return 1

    async def agent(server):
        await litellm.acompletion(**claude(server))
        look()

    with attribute(agent_id="a"), Replay(_json(anthropic_message()), _json(openai_completion(), "req_2")) as server:
        run(agent(server), logger)
        litellm.completion(**gpt(server))
        look()
        recorded(2)
    assert [row["request_id"] for row in ledger.rows("audit")] == ["req_1", "req_2"]


def test_a_request_id_of_the_runtime_holds_for_several_calls(litellm, recorded, ledger):
    @ledger.tool(server="s3")
    def look():
        return 1

    with attribute(agent_id="a", request_id="run-7"), Replay(_json(anthropic_message())) as server:
        litellm.completion(**claude(server))
        look()
        propagate(lambda: litellm.completion(**claude(server)))()
        rows = recorded(2)
    assert {row["request_id"] for row in rows} == {"run-7"}
    assert len({row["response_id"] for row in rows} - {None}) == 2
    assert len(counted(ledger)) == 2
    assert ledger.rows("audit")[0]["request_id"] == "run-7"


def test_as_a_mere_success_callback_it_still_works(litellm, logger, recorded):
    litellm.callbacks, litellm.success_callback = [], [logger]
    with Replay(_json(anthropic_message())) as server, attribute(agent_id="a"):
        litellm.completion(**claude(server))
        (row,) = recorded(1)
    assert row["agent_id"] == "a"


# -- together with others ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_c30_what_the_clients_inside_litellm_record_too_counts_once(
    litellm, logger, recorded, ledger, kind, stream, awaited
):
    if kind == "claude" and stream:
        pytest.skip("LiteLLM neither reads this stream to its end nor closes it, so nobody else sees it end")
    make = SAID[kind][0]
    options = {"stream": True, **USAGE} if stream else {}
    stop = ledger.instrument_all()
    try:
        with Replay(answer(kind, stream)) as server, attribute(agent_id="a"):
            if awaited:
                made = litellm.acompletion(**make(server, **options))
                run(consumed(made) if stream else made, logger)
            elif stream:
                list(litellm.completion(**make(server, **options)))
            else:
                litellm.completion(**make(server))
            rows = recorded(2)
    finally:
        stop()
    assert {row["request_id"] for row in rows} == {"req_1"}
    (row,) = counted(ledger)
    assert row["evidence"] in ("response", "stream")
    assert row["agent_id"] == "a"


def test_one_logger_for_each_ledger(litellm, logger, recorded, tmp_path):
    from agent_ledger import Ledger
    from agent_ledger.capture.litellm import LedgerLogger

    with Ledger(tmp_path / "other.db") as other, Replay(_json(anthropic_message())) as server:
        litellm.callbacks = [logger, LedgerLogger(other)]
        litellm.completion(**claude(server))
        recorded(1)
        end = time.monotonic() + 8
        while not other.rows("ledger") and time.monotonic() < end:
            time.sleep(0.01)
        assert [row["agent_id"] for row in other.rows("ledger")] == ["(unattributed)"]


# -- never in the way -------------------------------------------------------------------------------------------------


class Broken:
    """Stamps that fail, which those of a ledger never do."""

    def __init__(self):
        self.asked = threading.Event()

    def stamp_call(self, **_):
        self.asked.set()
        raise RuntimeError("broken")


def test_nothing_reaches_the_agent(litellm, logger, caplog):  # noqa: ARG001
    from agent_ledger.capture.litellm import LedgerLogger

    broken = Broken()
    litellm.callbacks = [LedgerLogger(broken)]
    with Replay(_json(anthropic_message())) as server:
        assert litellm.completion(**claude(server)).choices[0].message.content == "Paid."
        assert broken.asked.wait(8)
    for odd in ({}, {"standard_logging_object": 7}, {"litellm_call_id": 7, "standard_logging_object": {"id": 1}}):
        litellm.callbacks[0].log_pre_api_call("m", [], odd)
        litellm.callbacks[0].log_post_api_call(kwargs=odd, response_obj=None, start_time=None, end_time=None)
        litellm.callbacks[0].log_success_event(odd, None, None, None)
        litellm.callbacks[0].log_failure_event(odd, None, None, None)
        asyncio.run(litellm.callbacks[0].async_log_failure_event(odd, None, None, None))
    for odd in (None, 7):
        litellm.callbacks[0].log_pre_api_call("m", [], odd)
        litellm.callbacks[0].log_post_api_call(odd, None, None, None)
        litellm.callbacks[0].log_success_event(odd, None, None, None)
        assert asyncio.run(litellm.callbacks[0].async_post_call_success_deployment_hook(odd, odd, odd)) is None
    assert "could not be" in caplog.text


def test_what_never_ends_is_forgotten(litellm, ledger, monkeypatch):  # noqa: ARG001
    from agent_ledger.capture import litellm as capture

    monkeypatch.setattr(capture, "_MOST", 3)
    logger = capture.LedgerLogger(ledger)
    with attribute(agent_id="a"):
        in_flight = attribution.current_run()
        for number in range(10):
            logger.log_pre_api_call("m", [], {"litellm_call_id": str(number)})
            logger.log_pre_api_call("m", [], {"litellm_call_id": str(number)})  # tried again
        assert (len(logger._begun), in_flight.in_flight) == (3, 3)
        for number in range(10):
            logger.log_failure_event({"litellm_call_id": str(number)})
        assert (len(logger._begun), in_flight.in_flight) == (0, 0)
        for number in range(10):
            payload = _payload(litellm_call_id=str(number), id=f"chatcmpl-{number:0>24}")
            logger.log_success_event({"standard_logging_object": payload})
    assert len(logger._recorded) == 3


# -- what is no LLM call ----------------------------------------------------------------------------------------------


def _payload(metadata=None, **changes):
    return {
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", "litellm_call_id": "c", "call_type": "acompletion",
        "status": "success", "custom_llm_provider": "openai", "startTime": 1795467163.6, "endTime": 1795467163.9,
        "model": "gpt-4o", "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "response_cost": 0.1,
        "metadata": metadata or {}, "request_tags": [], "response": {"model": "gpt-4o"},
        "hidden_params": {"additional_headers": {"llm_provider-x-request-id": "req_1"}}, **changes,
    }  # fmt: skip


def test_tools_that_the_gateway_calls_are_tool_calls(logger, ledger):
    tool = {"name": "get_page", "mcp_server_name": "wiki", "arguments": {"title": "secret"}}
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "response": {}}
    payload = _payload({"mcp_tool_call_metadata": tool}, call_type="call_mcp_tool", id="c", **nothing)
    logger.log_success_event({"standard_logging_object": payload})
    with attribute(agent_id="a", request_id="run-7"):
        logger.log_failure_event({"standard_logging_object": payload | {"status": "failure", "id": "d"}})
    first, second = ledger.rows("audit")
    assert (first["tool"], first["server"], first["status"], first["cost_usd"]) == ("get_page", "wiki", "ok", 0.1)
    assert (first["agent_id"], first["request_id"]) == ("default", None)
    assert (second["agent_id"], second["request_id"], second["status"]) == ("a", "run-7", "error")
    assert ledger.rows("ledger") == []


def test_images_are_left_out_and_said(logger, ledger, caplog):
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for number in range(2):
        payload = _payload(call_type="image_generation", model="dall-e-3", id=str(number), **nothing)
        logger.log_success_event({"call_type": "image_generation", "standard_logging_object": payload})
    assert ledger.rows("ledger") == []
    assert caplog.text.count("image_generation that are not billed by tokens are not recorded") == 1


def test_without_litellm_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "litellm"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "litellm", None)
    monkeypatch.delitem(sys.modules, "agent_ledger.capture.litellm", raising=False)
    with pytest.raises(ImportError, match="pip install litellm"):
        import_module("agent_ledger.capture.litellm")
