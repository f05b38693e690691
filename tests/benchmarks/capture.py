"""Measure live capture: an instrumented client against the bare one, and against OpenTelemetry and LiteLLM's callback.

    python tests/benchmarks/capture.py [--calls N] [--rounds N] [--rows N] [--delay MS]

The real SDKs talk to the replay server, in a process of its own, which answers after 20 ms. With `--delay 0` the calls
follow one another at once, so that all code and data are in the processor's caches, as they are not after a wait.

All ways take turns, call by call, each turn in another order, so that whatever else the machine does meets all of them.
What a way adds is the median of its differences to the bare client in the same turn: of each round, and of the rounds.
Ways whose package is not installed are left out.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import itertools
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from run import calls

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from replay import Answer, Replay, Request, anthropic_message, anthropic_stream, openai_completion, openai_stream

from agent_ledger import Ledger, attribute

EVENTS = 65
CLAUDE, GPT = "claude-sonnet-5", "gpt-4o-2024-08-06"
MESSAGES: Any = [{"role": "user", "content": "Is this invoice fraud? " * 100}]
READY: Any = {"api_key": "x", "max_retries": 0}
PACKAGES = ("anthropic", "openai", "opentelemetry-sdk", "opentelemetry-instrumentation-genai-openai", "litellm")


@dataclass
class Way:
    """One way to make a call. `against`: the bare one. `on` and `off`: what is patched for the whole process."""

    name: str
    ask: Callable[[bool], Any]
    against: Way | None = None
    on: Callable[[], Any] = lambda: None
    off: Callable[[], Any] = lambda: None
    settles_s: float = 0.0  # what goes on in other threads is the way's own, and not the next one's
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def turn(self, *, stream: bool) -> None:
        self.on()
        cpu, start = time.process_time(), time.perf_counter()
        answer = self.ask(stream)
        if stream:
            for _ in answer:
                pass
        self.wall.append(time.perf_counter() - start)
        if self.settles_s:
            time.sleep(self.settles_s)
        self.cpu.append(time.process_time() - cpu)
        if self.settles_s:
            gc.collect()  # LiteLLM leaves streams open, and httpcore 1.0 hangs where they are collected in its pool
        self.off()


# -- the server -------------------------------------------------------------------------------------------------------


def longer(events: list[dict[str, Any]], text: int) -> list[dict[str, Any]]:
    """A stream of `EVENTS` events: the one at `text` again and again."""
    return events[:text] + [events[text]] * (EVENTS - len(events) + 1) + events[text + 1 :]


def serve(delay_s: float) -> None:
    """Answer until the standard input ends. Each answer has ids of its own."""
    numbers = itertools.count()
    bodies = {
        (True, False): Answer.json(anthropic_message("msg_NUMBER")),
        (True, True): Answer.sse(longer(anthropic_stream("msg_NUMBER"), 3)),
        (False, False): Answer.json(openai_completion("chatcmpl-NUMBER")),
        (False, True): Answer.sse(longer(openai_stream("chatcmpl-NUMBER"), 1), done=True),
    }

    def answer(request: Request) -> Answer:
        found = bodies[request.path.endswith("/messages"), bool(request.json.get("stream"))]
        number = b"%024d" % next(numbers)
        if isinstance(found.body, bytes):
            body: Any = found.body.replace(b"NUMBER", number)
        else:
            body = [chunk.replace(b"NUMBER", number) for chunk in found.body]
        names = {"request-id": f"req_{number.decode()}", "x-request-id": f"req_{number.decode()}"}
        time.sleep(delay_s)
        return Answer(body, headers={**found.headers, **names})

    with Replay(answer) as server:
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def server(delay_ms: float) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, __file__, "--serve", "--delay", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


# -- the ways ---------------------------------------------------------------------------------------------------------


class Dropped(SpanExporter):
    """Where the spans go: to send them anywhere would take longer."""

    def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def tracing() -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropped()))
    return provider


def asks(create: Any, **asked: Any) -> Callable[[bool], Any]:
    return lambda stream: create(**asked, messages=MESSAGES, stream=stream)


def attributed(ask: Callable[[bool], Any]) -> Callable[[bool], Any]:
    def with_agent(stream: bool) -> Any:
        with attribute(agent_id="fraud-classifier", customer_id="acme"):
            return ask(stream)

    return with_agent


def anthropic_ways(url: str, empty: Ledger, full: Ledger, rows: int) -> list[Way]:
    def client(**options: Any) -> Any:
        return anthropic.Anthropic(base_url=url, **READY, **{"open_telemetry": False, **options})

    def ask(of: Any) -> Callable[[bool], Any]:
        return asks(of.messages.create, model=CLAUDE, max_tokens=9)

    bare = Way("anthropic, bare", ask(client()))
    traced = client(open_telemetry={"tracer_provider": tracing()})
    return [
        bare,
        Way("… `ledger.instrument`, empty ledger", attributed(ask(empty.instrument(client()))), bare),
        Way(f"… `ledger.instrument`, {rows:,} rows", attributed(ask(full.instrument(client()))), bare),
        Way("… the SDK's own OpenTelemetry spans", ask(traced), bare),
    ]


def openai_ways(url: str, ledger: Ledger) -> list[Way]:
    def ask(of: Any) -> Callable[[bool], Any]:
        def create(*, stream: bool, **asked: Any) -> Any:
            more: Any = {"stream_options": {"include_usage": True}} if stream else {}
            return of.chat.completions.create(stream=stream, **asked, **more)

        return asks(create, model=GPT)

    def client() -> Any:
        return openai.OpenAI(base_url=f"{url}/v1", **READY)

    bare = Way("openai, bare", ask(client()))
    ways = [bare, Way("… `ledger.instrument`", attributed(ask(ledger.instrument(client()))), bare)]
    with suppress(ImportError):
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        spans, provider = OpenAIInstrumentor(), tracing()
        ways.append(
            Way(
                "… opentelemetry-instrumentation-genai-openai",
                ask(client()),
                bare,
                lambda: spans.instrument(tracer_provider=provider),
                spans.uninstrument,
            )
        )
    return ways


def litellm_ways(url: str, ledger: Ledger) -> list[Way]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches its prices
    try:
        import litellm
        from litellm.integrations.custom_logger import CustomLogger

        from agent_ledger.capture.litellm import LedgerLogger
    except ImportError:
        return []
    litellm.suppress_debug_info = True
    ask = asks(litellm.completion, model=f"anthropic/{CLAUDE}", max_tokens=9, api_base=url, api_key="x")

    def off() -> None:
        litellm.logging_callback_manager._reset_all_callbacks()
        litellm.callbacks = []

    def called_back(name: str, logger: Any, how: Callable[[bool], Any]) -> Way:
        return Way(name, how, bare, lambda: setattr(litellm, "callbacks", [logger]), off, settles_s)

    settles_s = 0.03  # it calls back from threads of its own, which look up then whom to call
    bare = Way("litellm, bare", ask, settles_s=settles_s)
    return [
        bare,
        called_back("… a `CustomLogger` that does nothing", CustomLogger(), ask),
        called_back("… `LedgerLogger`", LedgerLogger(ledger), attributed(ask)),
    ]


# -- measuring --------------------------------------------------------------------------------------------------------


def measure(ways: list[Way], *, stream: bool, rounds: int, count: int) -> list[str]:
    gc.freeze()  # so that collecting takes no time
    for way in ways:
        for _ in range(20):
            way.turn(stream=stream)
        way.wall, way.cpu = [], []
    rng = random.Random(1)
    for _ in range(rounds * count):
        for way in rng.sample(ways, len(ways)):
            way.turn(stream=stream)
    kind = f"stream of {EVENTS} events" if stream else "one answer"
    return [f"| {kind}: {way.name} | {line(way, rounds)} |" for way in ways]


def middle(values: list[float], rounds: int) -> float:
    """The median of the rounds' medians."""
    size = len(values) // rounds
    return statistics.median(statistics.median(values[start : start + size]) for start in range(0, size * rounds, size))


def line(way: Way, rounds: int) -> str:
    p50, p99 = middle(way.wall, rounds), statistics.quantiles(way.wall, n=100)[98]
    shown = f"{p50 * 1e3:.2f} ms | {p99 * 1e3:.2f} ms"
    if way.against is None:
        return f"{shown} | | | {statistics.mean(way.cpu) * 1e6:,.0f} µs"
    bare = way.against
    added = middle([mine - theirs for mine, theirs in zip(way.wall, bare.wall, strict=True)], rounds)
    share = added / middle(bare.wall, rounds)
    cpu = statistics.mean(way.cpu) - statistics.mean(bare.cpu)
    return f"{shown} | {added * 1e6:+,.0f} µs | {share:+.2%} | {cpu * 1e6:+,.0f} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=20.0, help="milliseconds until the server answers")
    parser.add_argument("--calls", type=int, default=40, help="calls of each way in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large ledger")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.delay / 1000)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        empty, full = (stack.enter_context(Ledger(folder / f"{name}.db")) for name in ("empty", "full"))
        full.record_calls(calls(given.rows))
        url = stack.enter_context(server(given.delay))
        ways = [
            *anthropic_ways(url, empty, full, given.rows),
            *openai_ways(url, empty),
            *litellm_ways(url, empty),
        ]
        versions = [f"{name} {found}" for name in PACKAGES if (found := version(name))]
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
        print(f"SQLite {sqlite3.sqlite_version}, {', '.join(versions)}; {given.rounds} rounds of {given.calls} calls")
        print(f"load average: {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")
        print("| what | p50 | p99 | added, p50 | of the bare call | CPU per call |\n|---|---|---|---|---|---|")
        for stream in (False, True):
            for row in measure(ways, stream=stream, rounds=given.rounds, count=given.calls):
                print(row, flush=True)
        recorded(empty, full, given.rows, 2 * (given.rounds * given.calls + 20))


def recorded(empty: Ledger, full: Ledger, rows: int, turns: int) -> None:
    """Every call was recorded, or the figures mean nothing."""
    counts = [count(empty), count(full) - rows]
    print(f"\nrecorded: {counts[0]:,} calls in the empty ledger, {counts[1]:,} in the large one")
    if counts[1] != turns or counts[0] % turns:
        sys.exit(f"calls are missing: each way made {turns:,}")


def count(ledger: Ledger) -> int:
    with sqlite3.connect(ledger.path) as connection:
        return int(connection.execute("select count(*) from ledger").fetchone()[0])


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
