# SPDX-License-Identifier: Apache-2.0
"""Waits for trims with callbacks, in separate processes, and their outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from environment import HERE, LOGIN, TOKEN, environment, trim_connection
from policy_bound import DISTRIBUTIONS

from airflow_provider_trim.emulator import Late, Lost, Repeated, TrimEmulator
from airflow_provider_trim.vod.callbacks import callback_address
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.live_airflow import HOST, free_port
from tests.support.redis_server import RedisServer

KEEPER = "keeper"
TUNED = "lognormal(120 s, 0.8)"
CALLS, WINDOW = 300, 300.0
INTERVAL = 10.0
LATE = 60.0
SCALE = 10.0
"""How much faster than the clock all times are, but those of machines: what a request takes, and what it waits."""

FORGERS = 50
WAITING = 100
LIMIT = 900.0


@dataclass(frozen=True)
class Load:
    """Trims that finish at random within a number of seconds, each of which takes at most ``longest``."""

    trims: int
    span: float
    longest: float

    @property
    def concurrency(self) -> float:
        """How many wait at a time."""
        return self.trims / self.span * float(DISTRIBUTIONS[TUNED].mean())

    def at(self, concurrency: float) -> Load:
        """Return it with fewer trims, so that the given number waits at a time."""
        return replace(self, trims=int(self.trims * concurrency / self.concurrency))


@dataclass(frozen=True)
class Outcome:
    """What a run showed; times are scaled up again."""

    trims: int
    calls: int
    delays: list[float]
    twice: int

    @property
    def missing(self) -> int:
        return self.trims - len(self.delays)

    @property
    def mean(self) -> float:
        return float(np.mean(self.delays))


class Connection:
    """A connection to an emulator, with callbacks on a port of its own."""

    def __init__(self, emulator: TrimEmulator, **extra: Any) -> None:
        self.port = free_port()
        callbacks = {
            "callback_listen": f"{HOST}:{self.port}",
            "callback_url": f"http://{HOST}:{self.port}/trims",
            **extra,
        }
        self.fields = trim_connection(emulator.url, **callbacks)
        parts = {name: self.fields[name] for name in ("host", "login", "password", "extra")}
        self.parts = json.dumps(parts)
        self.settings = TrimSettings.from_connection(**parts)

    def address(self, trans_no: str) -> str:
        return callback_address(self.settings, trans_no) or ""


@contextlib.contextmanager
def client(connection: Connection) -> Iterator[subprocess.Popen[str]]:
    """A process that does what its first line of input says."""
    with environment(trim_bench=connection.fields) as variables:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "callbacks_client.py")],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"the client has ended with {process.wait(10)}")
    return line


def figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Ask a client for what it has seen."""
    tell(process, "")
    return dict(json.loads(hear(process)))


def run(load: Load, scale: float, seed: int, *, faulty: bool = False) -> Outcome:
    """Let a number of trims finish at random within a number of seconds, and return what that took.

    :param faulty: of twenty callbacks, one is lost, one late, and one doubled
    """
    random = np.random.default_rng(seed)
    durations = np.minimum(DISTRIBUTIONS[TUNED].rvs(load.trims, random_state=random), load.longest)
    finishes = random.uniform(0, load.span, load.trims)
    quota = f"{CALLS}/{math.ceil(WINDOW / scale)} seconds"
    with TrimEmulator(user=LOGIN, token=TOKEN, quota=(CALLS, WINDOW / scale)) as emulator:
        connection = Connection(emulator, quota=quota)
        emulator.add_trim(KEEPER, math.inf)
        with client(connection) as process:
            zero = time.time() + 12.0 + (load.longest + 60.0) / scale
            done = {f"t{number}": zero + finish / scale for number, finish in enumerate(finishes)}
            begins = [[name, end - durations[n] / scale] for n, (name, end) in enumerate(done.items())]
            plan = {"scale": scale, "interval": INTERVAL / scale, "trims": begins, "hold": False, "limit": LIMIT}
            for number, (name, end) in enumerate(done.items()):
                if faulty and number % 20 < 3:
                    emulator.inject_callback_faults(name, (Lost(), Late(LATE / scale), Repeated(2))[number % 20])
                emulator.add_trim(name, end - time.time(), notify_url=connection.address(name))
            tell(process, json.dumps(plan))
            hear(process)
            events = figures(process)["events"]
        calls = emulator.call_count - len(emulator.calls_for(KEEPER))
        if emulator.rate_limited:
            raise RuntimeError(f"{emulator.rate_limited} calls over the quota")
    delays = [(times[0] - done[name]) * scale for name, times in events.items()]
    return Outcome(load.trims, calls, delays, sum(len(times) > 1 for times in events.values()))


async def forge(connection: Connection, number: int) -> None:
    """Send requests that look like callbacks, or not even that, each over a separate connection."""
    numbers = iter(range(number))

    async def forger() -> None:
        for n in numbers:
            target = (f"/trims/w{n % WAITING}/{n:043d}", f"/{n}", f"/trims/w{n % WAITING}/{'A' * 43}?{n}")[n % 3]
            request = f"POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 512\r\n\r\n".encode() + bytes(512)
            reader, writer = await asyncio.open_connection(HOST, connection.port)
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                await reader.read()
            writer.close()

    await asyncio.gather(*(forger() for _ in range(FORGERS)))


def forged(number: int) -> dict[str, float]:
    """Forge callbacks while trims wait, and return what that has caused."""
    with TrimEmulator(user=LOGIN, token=TOKEN) as emulator:
        connection = Connection(emulator)
        emulator.add_trim(KEEPER, math.inf)
        trims = [f"w{n}" for n in range(WAITING)]
        for trans_no in trims:
            emulator.add_trim(trans_no, math.inf, notify_url=connection.address(trans_no))
        with client(connection) as process:
            waits = [[trans_no, time.time() + 10.0] for trans_no in trims]
            tell(process, json.dumps({"scale": 60.0, "interval": 60.0, "trims": waits, "hold": True, "limit": LIMIT}))
            hear(process)
            asyncio.run(forge(connection, number // 10))  # warm
            before, begin = emulator.call_count, time.monotonic()
            asyncio.run(forge(connection, number))
            seconds = time.monotonic() - begin
            found = figures(process)
        caused = emulator.call_count - before
    return {"calls": caused, "lag": found["lag"], "grown": found["grown"], "per second": number / seconds}


def misdirected(number: int) -> list[float]:
    """Return the seconds after which the right one of two processes has found each trim the other was called for."""
    with RedisServer() as redis, TrimEmulator(user=LOGIN, token=TOKEN) as emulator, contextlib.ExitStack() as stack:
        first, second = (Connection(emulator, quota_storage=redis.url, quota="300/5 minutes") for _ in range(2))
        waits = ((first, ["first"]), (second, [f"t{n}" for n in range(number)]))
        processes = []
        for connection, trims in waits:
            for trans_no in trims:
                emulator.add_trim(trans_no, math.inf, notify_url=first.address(trans_no))
            line = [sys.executable, str(HERE.parent / "support" / "callback_waiter.py")]
            line += [f"--connection={connection.parts}", "--interval=3600", *trims]
            processes.append(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
            stack.callback(processes[-1].communicate)
            stack.callback(processes[-1].kill)
        for process in processes:
            hear(process)
        delays = []
        for trans_no in waits[1][1]:
            end = time.time()
            emulator.finish(trans_no)
            _, found, successful = json.loads(hear(processes[1]))
            assert successful
            delays.append(found - end)
    return delays
