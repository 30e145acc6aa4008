# SPDX-License-Identifier: Apache-2.0
"""What is sent, under which names, and what a backend that fails costs."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_trim.metrics.exporter import Exporter, send
from airflow_provider_trim.metrics.recorder import Recorder

LIMIT = 60.0


class Backend:
    """Notes what it gets, after :attr:`act` has been called."""

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self.act = act
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []
        self.called = threading.Semaphore(0)

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
        self._note("incr", stat, count, tags)

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        self._note("gauge", stat, value, tags)

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> None:
        self._note("timing", stat, dt, tags)

    def _note(self, *call: Any) -> None:
        self.act()
        self.calls.append(call)
        self.called.release()


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a backend that hangs waits for."""
    release = threading.Event()
    yield release
    release.set()


def exporter(recorder: Recorder, backend: Backend, interval: float = LIMIT) -> Exporter:
    return Exporter(recorder, lambda: backend, hostname=lambda: "host.1", interval=interval)


def test_names_and_tags(backend: Backend) -> None:
    recorder = Recorder()
    recorder.count("trim.polls", "a", "done")
    recorder.count("trim.callbacks.refused", "path")
    recorder.count("trim.cooldowns", "a")
    recorder.time("trim.wait.duration", 1.5, "a")
    recorder.watch(lambda: [("trim.waits.open", ("a",), 2)])
    send(recorder.take(), backend, "host.1")
    assert backend.calls == [
        ("incr", "trim.polls", 1, {"account": "a", "outcome": "done"}),
        ("incr", "trim.polls.done", 1, {"account": "a"}),
        ("incr", "trim.callbacks.refused", 1, {"reason": "path"}),
        ("incr", "trim.callbacks.refused.path", 1, {}),
        ("incr", "trim.cooldowns", 1, {"account": "a"}),
        ("timing", "trim.wait.duration", timedelta(seconds=1.5), {"account": "a"}),
        ("gauge", "trim.waits.open", 2, {"account": "a", "hostname": "host.1"}),
        ("gauge", "trim.waits.open.host_1", 2, {"account": "a"}),
    ]


def test_it_exports_at_its_pace_while_something_waits_and_then_its_thread_ends(backend: Backend) -> None:
    recorder = Recorder()
    exporter(recorder, backend, interval=0.001)

    def source() -> list[Any]:
        return [("trim.waits.open", ("a",), 1)]

    recorder.watch(source)
    for _ in range(6):  # two names each time
        assert backend.called.acquire(timeout=LIMIT)
    recorder.unwatch(source)
    join()
    assert backend.calls[-1][1:3] == ("trim.waits.open.host_1", 0)
    assert not recorder.active
    recorder.count("trim.cooldowns", "a")
    assert backend.called.acquire(timeout=LIMIT)
    join()


def join() -> None:
    """Return when no exporter's thread is left."""
    for thread in threading.enumerate():
        if thread.name == "trim-metrics":
            thread.join(LIMIT)
            assert not thread.is_alive()


def test_flush_exports_at_once(backend: Backend) -> None:
    recorder = Recorder()
    exporting = exporter(recorder, backend)
    for number in range(20):
        recorder.count("trim.cooldowns", "a")
        exporting.flush(LIMIT)
        assert len(backend.calls) == number + 1
    exporting.flush(0.0)  # nothing is left
    join()


def test_a_backend_that_raises_costs_measurements_only(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("no route to host")

    backend.act = fail
    recorder = Recorder()
    exporting = exporter(recorder, backend)
    for _ in range(2):
        recorder.count("trim.cooldowns", "a")
        exporting.flush(LIMIT)
    assert caplog.messages == ["Metrics can't be sent, and are dropped: OSError: no route to host"]
    backend.act = lambda: None
    recorder.count("trim.cooldowns", "a")
    exporting.flush(LIMIT)
    assert backend.calls == [("incr", "trim.cooldowns", 1, {"account": "a"})]


def test_a_backend_that_hangs_is_waited_for_once(backend: Backend, release: threading.Event) -> None:
    backend.act = lambda: release.wait(LIMIT)
    recorder = Recorder()
    exporting = exporter(recorder, backend, interval=0.001)
    recorder.count("trim.cooldowns", "a")
    exporting.flush(0.01)
    begun = time.monotonic()
    for _ in range(10):
        recorder.count("trim.cooldowns", "a")
        exporting.flush(LIMIT)
    assert time.monotonic() - begun < LIMIT
    release.set()
    join()
    assert [call[2] for call in backend.calls] == [1, 10]
    recorder.count("trim.cooldowns", "a")
    exporting.flush(LIMIT)
    assert len(backend.calls) == 3


def test_without_another_thread_measurements_are_dropped(backend: Backend) -> None:
    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    recorder = Recorder()
    exporting = Exporter(recorder, lambda: backend, hostname=lambda: "h", start=start)
    recorder.count("trim.cooldowns", "a")
    exporting.flush(0.0)
    assert backend.calls == []


def test_a_forked_process_begins_again(
    monkeypatch: pytest.MonkeyPatch, backend: Backend, release: threading.Event
) -> None:
    """Though the thread is left behind, and may have held a lock."""
    from airflow_provider_trim.hooks import metrics

    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setattr(metrics, "find_stats", lambda: backend)
    monkeypatch.setattr(metrics, "hostname", lambda: "h")
    metrics.process_metrics.cache_clear()
    process = metrics.process_metrics()
    metrics.process_metrics.cache_clear()
    hangs = threading.Event()
    backend.act = lambda: hangs.set() or release.wait(LIMIT)
    process.count("trim.polls", "a", "done")
    process.flush(0.0)
    assert hangs.wait(LIMIT)
    backend.act = lambda: None

    def child(results: Any) -> None:
        backend.calls.clear()  # the parent's may have been under way
        process.count("trim.cooldowns", "a")
        process.flush(LIMIT)
        results.put(backend.calls)

    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    forked = context.Process(target=child, args=(results,))
    forked.start()
    assert results.get() == [("incr", "trim.cooldowns", 1, {"account": "a"})]
    forked.join()
