"""Compaction of a ledger in a process of its own, while another one records calls at a steady rate."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

from traffic import END

from agent_ledger import Ledger, clock

PER_SECOND = 100
CAN_COMPACT = hasattr(Ledger, "compact")


@dataclass
class Latencies:
    """How long `record_call` took, in seconds, each call with the moment of the machine's clock at which it began.

    From the moment that the call was due: what one call waits for, those behind it wait for too.
    """

    calls: list[tuple[float, float]] = field(default_factory=list)

    def line(self, since: float, until: float) -> str:
        times = sorted(took for began, took in self.calls if since <= began < until)
        if len(times) < 10:
            return f"only {len(times)} calls"
        p50, p99 = (statistics.quantiles(times, n=1000)[part - 1] for part in (500, 990))
        return f"{p50 * 1e3:.2f} / {p99 * 1e3:.2f} / {times[-1] * 1e3:.1f} ms of {len(times):,} calls"


@dataclass(frozen=True)
class Compaction:
    began: float
    ended: float
    megabytes: float
    failure: str | None


@contextmanager
def writing(path: Path) -> Iterator[Latencies]:
    """Another process records calls meanwhile. Its latencies are there when it is over."""
    latencies = Latencies()
    command = [sys.executable, __file__, "write", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()  # it is ready
        try:
            yield latencies
        finally:
            found, _ = process.communicate("stop\n")
            latencies.calls += [(began, took) for began, took in json.loads(found)]


def compact(path: Path, up_to: int | None) -> Compaction:
    """Compact the rows up to the id `up_to`; None: all."""
    command = [sys.executable, __file__, "compact", str(path), str(up_to or "")]
    began = time.time()
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return Compaction(began, time.time(), 0, process.stderr.strip().splitlines()[-1])
    began, ended, megabytes = map(float, process.stdout.split())
    return Compaction(began, ended, megabytes, None)


# -- in processes of their own ----------------------------------------------------------------------------------------


def write(path: Path) -> None:
    """Record calls until somebody writes a line; then print when each began and how long it took."""
    stop = Event()
    Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    calls: list[tuple[float, float]] = []
    with Ledger(path) as ledger:
        number = 0

        def record() -> None:
            ledger.record_call(
                ts=END + number * timedelta(seconds=1 / PER_SECOND),  # right after the generated calls
                agent_id=f"agent-{number % 47:03d}",
                customer_id=f"customer-{number % 2000:05d}",
                request_id=f"req_{clock.sortable_id()}",
                response_id=f"msg_{clock.sortable_id()}",
                model="claude-sonnet-4-5",
                provider="anthropic",
                prompt_tokens=5000 + number % 1000,
                completion_tokens=300 + number % 100,
                cache_read_tokens=3000,
                evidence="response",
            )

        record()  # the first one opens what all others use
        print("ready", flush=True)
        start = time.perf_counter()
        while not stop.is_set():
            number += 1
            due = start + number / PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.time()
            record()
            calls.append((began, time.perf_counter() - due))
    json.dump(calls, sys.stdout)


def compact_here(path: Path, up_to: int | None) -> None:
    """Print when it began and ended, and the most memory that this process had, in megabytes."""
    with Ledger(path) as ledger:
        began = time.time()
        if up_to is None:
            ledger.compact()
        else:
            ledger.compact(up_to=up_to)
        ended = time.time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(began, ended, peak)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    else:
        compact_here(Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3] else None)
