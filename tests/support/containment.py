# SPDX-License-Identifier: Apache-2.0
"""A triggerer in simulated time, whose pollers are real and whose collaborators fail on demand."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import functools
import json
import logging
import math
import urllib.parse
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar
from unittest import mock

from airflow_provider_trim.client.connection_cache import ConnectionCache, SettingsLoader
from airflow_provider_trim.metrics import AccountMetrics
from airflow_provider_trim.metrics.exporter import Exporter
from airflow_provider_trim.metrics.recorder import Recorder
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS, Poller
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Failure, TimedOut
from airflow_provider_trim.ratelimit import shared_knowledge, shared_window, signatures
from airflow_provider_trim.ratelimit.fair_share import EXCHANGE
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from airflow_provider_trim.ratelimit.storage import MAX_THREADS, RedisStorage, Storages
from airflow_provider_trim.vod.callbacks import callback_address
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.simulated_time import CountingExecutor, SimulatedEventLoop

SLOW, SLOW_IN_LOOP = 15.0, 0.02
"""Seconds that a slow collaborator takes; one that holds up the event loop itself, for each time it is called."""

LATENCY = 0.1
"""Seconds from a call to its response."""

QUOTA, WINDOW = 300, 300.0

AUTH = "faulty"
"""The authentication scheme of the connections; see :func:`sign`."""


class Kind(enum.Enum):
    """What can be wrong with a collaborator."""

    RAISES = "raises an unexpected exception"
    HANGS = "hangs"
    SLOW = "is slow"
    NONSENSE = "returns nonsense"


class Collaborator(enum.Enum):
    """What a poller works with."""

    LOADER = "connection loader"
    SECRETS = "secrets backend"
    WINDOW = "Redis window"
    SHARE = "fair share"
    RELAY = "callback relay"
    LISTENER = "callback listener"
    TRANSPORT = "transport"
    CLOSING = "transport, when it is closed"
    SIGNER = "signer"
    SIGNATURES = "signatures in Redis"
    KNOWLEDGE = "durations in Redis"
    POLICY = "polling policy"
    HANDLER = "callback handler"
    LOG = "log handler"
    EVENT = "the trigger's own event"
    METRICS = "metrics backend"


class Faults:
    """Which collaborators fail now, and of what: of a connection, or of the calls and callbacks of one trim."""

    def __init__(self) -> None:
        self.loop: SimulatedEventLoop | None = None
        self._kinds: dict[tuple[Collaborator, str], Kind] = {}

    def begin(self, collaborator: Collaborator, subject: str, kind: Kind) -> None:
        self._kinds[collaborator, subject] = kind

    def end(self, collaborator: Collaborator, subject: str) -> None:
        self._kinds.pop((collaborator, subject), None)

    def kind(self, collaborator: Collaborator, subject: str) -> Kind | None:
        return self._kinds.get((collaborator, subject))

    async def awaited(self, collaborator: Collaborator, subject: str, nonsense: Any = None) -> Any:
        """Fail where a coroutine is awaited; returns nonsense, or ``...`` for nothing."""
        match self.kind(collaborator, subject):
            case Kind.RAISES:
                raise LookupError("a bug")
            case Kind.HANGS:
                await asyncio.Event().wait()
            case Kind.SLOW:
                await asyncio.sleep(SLOW)
            case Kind.NONSENSE:
                return nonsense
        return ...

    def threaded(self, collaborator: Collaborator, subject: str, nonsense: Any = None) -> Any:
        """Fail in a thread; otherwise as :meth:`awaited`."""
        assert self.loop is not None
        match self.kind(collaborator, subject):
            case Kind.RAISES:
                raise LookupError("a bug")
            case Kind.HANGS:
                self.loop.stall()
                raise LookupError("it was released")
            case Kind.SLOW:
                self.loop.stall(SLOW)
            case Kind.NONSENSE:
                return nonsense
        return ...

    def called(self, collaborator: Collaborator, subject: str, nonsense: Any = None) -> Any:
        """Fail in the event loop itself; otherwise as :meth:`awaited`."""
        assert self.loop is not None
        match self.kind(collaborator, subject):
            case Kind.RAISES:
                raise LookupError("a bug")
            case Kind.SLOW:
                self.loop.now += SLOW_IN_LOOP
            case Kind.NONSENSE:
                return nonsense
        return ...


# --- the collaborators ---


class Service:
    """One account's service. Opens transports to itself.

    :param name: of the connection
    """

    def __init__(self, name: str, faults: Faults) -> None:
        self.name = name
        self.faults = faults
        self.ends: dict[str, float] = {}
        """When each trim is done."""
        self.odd: dict[str, Response] = {}
        """What the service responds instead, by trim."""
        self.open = 0
        """Transports."""
        self.calls = 0

    def __call__(self, settings: TrimSettings, connections: int) -> Service:
        self.open += 1
        return self

    async def send(self, request: Request) -> Response:
        trans_no = trans_no_of(request)
        self.calls += 1
        if (nonsense := await self.faults.awaited(Collaborator.TRANSPORT, trans_no)) is not ...:
            return nonsense  # type: ignore[no-any-return]
        await asyncio.sleep(LATENCY)
        if (odd := self.odd.get(trans_no)) is not None:
            return odd
        done = asyncio.get_running_loop().time() >= self.ends.get(trans_no, math.inf)
        data: dict[str, Any] = {"taskId": "x", "transNo": trans_no, "status": 2 if done else 1}
        if done:
            data["videoInfo"] = {"videoId": trans_no}
        return Response(200, {}, json.dumps({"code": 200, "message": "", "data": data}).encode())

    async def close(self) -> None:
        self.open -= 1
        await self.faults.awaited(Collaborator.CLOSING, self.name)


def trans_no_of(request: Request) -> str:
    body = request.body.decode()
    return str(json.loads(body)["transNo"] if body.startswith("{") else urllib.parse.parse_qs(body)["transNo"][0])


class Redis:
    """What a rate limiter uses of :class:`redis.Redis`: scripts. Permits whatever is requested."""

    def __init__(self, name: str, faults: Faults) -> None:
        self._name = name
        self._faults = faults

    def register_script(self, script: str) -> Any:
        collaborator, reply = {
            shared_window.ACQUIRE: (Collaborator.WINDOW, [1, b"0", b"generation"]),
            shared_window.RELEASE: (Collaborator.WINDOW, 1),
            EXCHANGE: (Collaborator.SHARE, 0),
            signatures.CLAIM: (Collaborator.SIGNATURES, 1),
            shared_knowledge.EXCHANGE: (Collaborator.KNOWLEDGE, None),
        }[script]

        def execute(keys: Any, arguments: Any) -> Any:
            nonsense = self._faults.threaded(collaborator, self._name, {"no": "reply"})
            return reply if nonsense is ... else nonsense

        return execute


class FakeStorages(Storages):
    def __init__(self, faults: Faults, loop: SimulatedEventLoop) -> None:
        super().__init__(clock=loop.time)
        self._faults = faults
        self._loop = loop
        self.executors: list[CountingExecutor] = []

    def get(self, url: str) -> RedisStorage:
        storage = self._storages.get(url)
        if storage is None:
            executor = CountingExecutor(self._loop, MAX_THREADS)
            self.executors.append(executor)
            redis = Redis(urllib.parse.urlsplit(url).hostname or "", self._faults)
            storage = RedisStorage(redis, clock=self._loop.time, executor=lambda: executor)
            self._storages[url] = storage
        return storage


class AsyncRedis:
    """What a relay uses of :class:`redis.asyncio.Redis`: a client and its subscription in one."""

    faults: Faults
    clients: ClassVar[weakref.WeakSet[AsyncRedis]] = weakref.WeakSet()
    open = 0

    @classmethod
    def deliver(cls, name: str, message: bytes) -> None:
        """Deliver what another triggerer has published."""
        for client in cls.clients:
            if client._name == name:
                client._messages.put_nowait(message)

    def __init__(self, name: str) -> None:
        self._name = name
        self._subscribed = self._left = False
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        AsyncRedis.clients.add(self)

    @classmethod
    def from_url(cls, url: str, **_: Any) -> AsyncRedis:
        return cls(urllib.parse.urlsplit(url).hostname or "")

    async def __aenter__(self) -> AsyncRedis:
        AsyncRedis.open += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        AsyncRedis.open -= 1
        if self.faults.kind(Collaborator.RELAY, self._name) is Kind.HANGS and not self._left:
            self._left = True  # the subscription; the client is closed after that
            await asyncio.Event().wait()

    def pubsub(self) -> AsyncRedis:
        return self

    async def subscribe(self, channel: str) -> None:
        await self.faults.awaited(Collaborator.RELAY, self._name)

    async def get_message(self, *, timeout: float, **_: Any) -> Any:  # noqa: ASYNC109  # as redis-py's
        if (nonsense := await self.faults.awaited(Collaborator.RELAY, self._name, {"data": 0})) is not ...:
            await asyncio.sleep(LATENCY)
            return nonsense
        if not self._subscribed:
            self._subscribed = True
            return {"type": "subscribe"}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return {"data": await self._messages.get()}

    async def publish(self, channel: str, message: str) -> None:
        await self.faults.awaited(Collaborator.RELAY, self._name)


class _Server:
    """A listening socket of simulated time, and the requests to it."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        self.on_readable: Callable[[], object] | None = None
        self._on_close = on_close
        self._targets: deque[str] = deque()

    def accept(self) -> tuple[_Accepted, None]:
        if not self._targets:
            raise BlockingIOError(errno.EAGAIN, "")
        return _Accepted(self._targets.popleft()), None

    def close(self) -> None:
        self._on_close()

    def request(self, target: str) -> None:
        self._targets.append(target)
        if self.on_readable is not None:
            self.on_readable()


@dataclass
class _Accepted:
    """A socket over which a path is requested."""

    target: str

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        pass


class _Connection(asyncio.Transport):
    protocol: asyncio.Protocol
    _closing = False

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.protocol.connection_lost(None)

    abort = close


class ListeningLoop(SimulatedEventLoop):
    """An event loop whose servers listen to nothing but :meth:`request`."""

    faults: Faults

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[int, _Server] = {}
        """By their ports."""

    async def listen(self, host: str, port: int) -> Any:
        """Listen in simulated time."""
        name = chr(ord("a") + port - 1)
        if (nonsense := await self.faults.awaited(Collaborator.LISTENER, name)) is not ...:
            return nonsense
        self.servers[port] = _Server(lambda: self.servers.pop(port) and None)
        return [self.servers[port]]

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        if not isinstance(fd, _Server):
            return super().add_reader(fd, callback, *args)
        fd.on_readable = functools.partial(callback, *args)

    def remove_reader(self, fd: Any) -> Any:
        if not isinstance(fd, _Server):
            return super().remove_reader(fd)
        fd.on_readable = None

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **_: Any) -> Any:
        protocol, transport = protocol_factory(), _Connection()
        transport.protocol = protocol
        protocol.connection_made(transport)
        protocol.data_received(f"POST {sock.target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode())
        return transport, protocol


class Policy(ExpectedDelayPolicy):
    """The policy of one connection."""

    def __init__(self, name: str, faults: Faults) -> None:
        super().__init__()
        self._consult = functools.partial(faults.called, Collaborator.POLICY, name, math.nan)

    def due_at(self, trim: Any) -> float:
        nonsense = self._consult()
        return super().due_at(trim) if nonsense is ... else nonsense

    def replan(self, trims: Any, budget: Any) -> bool:
        nonsense = self._consult()
        return super().replan(trims, budget) if nonsense is ... else nonsense


class Handled(PollState):
    """A wait that fails when a callback has come for it."""

    faults: Faults

    def expedite(self, now: float) -> None:
        if self.faults.called(Collaborator.HANDLER, self.trans_no, math.nan) is ...:
            super().expedite(now)


class Handler(logging.Handler):
    """Fails for all lines of the package."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(logging.DEBUG)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.called(Collaborator.LOG, "")


_installed: Faults
"""Of the world that runs, for what Airflow and other packages find by name."""


def sign(request: Request, settings: TrimSettings, now: int) -> Any:
    """An authentication scheme, to be installed as ``faulty``."""
    nonsense = _installed.called(Collaborator.SIGNER, trans_no_of(request), b"nonsense")
    return request if nonsense is ... else nonsense


def connection_value(conn_id: str) -> Any:
    """What the secrets backend in :mod:`tests.support.faulty_secrets` returns."""
    nonsense = _installed.threaded(Collaborator.SECRETS, conn_id, 5)
    return json.dumps({"conn_type": "trim", **_parts(conn_id)}) if nonsense is ... else nonsense


def set_xcom(key: str, value: Any, *, task_id: str, **_: Any) -> Any:
    """What stands for Airflow's ``XCom.set``."""
    return _installed.threaded(Collaborator.EVENT, task_id)


def _parts(name: str, **changes: Any) -> dict[str, Any]:
    port = ord(name) - ord("a") + 1
    extra = {
        "auth": AUTH,
        "quota": f"{QUOTA}/{WINDOW:.0f} seconds",
        "quota_storage": f"redis://{name}:6379/0",
        "callback_listen": f"127.0.0.1:{port}",
        "callback_url": f"http://127.0.0.1:{port}/trims",
        **changes,
    }
    return {"host": f"https://{name}.example", "login": "me", "password": "t", "extra": extra}


class Stats:
    """Airflow's metrics."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.sent = 0
        """Measurements."""

    def _send(self, stat: str, value: object, *, tags: dict[str, str]) -> object:
        loop = self._faults.loop
        if loop is None or loop.is_closed():  # the thread outlives the world where it hung
            return None
        nonsense = self._faults.threaded(Collaborator.METRICS, "")
        self.sent += 1
        return nonsense

    incr = gauge = timing = _send


# --- the triggerer ---


@dataclass(frozen=True)
class Ended:
    """How a wait has ended.

    :param at: seconds
    :param result: its verdict, or the exception that it ended with
    """

    at: float
    result: Any

    @property
    def cause(self) -> str:
        """What it says; empty for a success."""
        match self.result:
            case TimedOut(last_error):
                return f"timed out: {last_error}"
            case Failure(error):
                return str(error)
            case Exception() as error:
                return f"{type(error).__name__}: {error}"
            case _:
                return ""


@dataclass
class World:
    """A triggerer. To be made in a running :class:`ListeningLoop`.

    :param faults: of its collaborators
    :param secrets: load connections through Airflow, from its secrets backend
    """

    faults: Faults
    secrets: bool = False
    services: dict[str, Service] = field(default_factory=dict)
    extras: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes of the connections' extras, by connection."""
    ended: dict[str, Ended] = field(default_factory=dict)
    """The waits that have ended, by name."""

    def __post_init__(self) -> None:
        global _installed
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ListeningLoop)
        self.loop = loop
        _installed = self.faults
        self.faults.loop, loop.faults, Handled.faults, AsyncRedis.faults = loop, *[self.faults] * 3
        self.storages = FakeStorages(self.faults, loop)
        self.pollers: dict[str, Poller] = {}
        self.metrics = Recorder()
        self.stats = Stats(self.faults)
        executor = CountingExecutor(loop, 1)
        Exporter(
            self.metrics, lambda: self.stats, hostname=lambda: "host", start=executor.submit, pause=self._pause_export
        )
        limiters.clear(lambda settings, storages: RateLimiter(settings, clock=loop.time, storages=self.storages))

    def _pause_export(self, seconds: float) -> None:
        if not self.loop.is_closed():
            self.loop.stall(seconds)

    def service(self, name: str) -> Service:
        return self.services.setdefault(name, Service(name, self.faults))

    def poller(self, name: str, _: SettingsLoader | None = None) -> Poller:
        """Return the poller of a connection."""
        if name not in self.pollers:
            load = functools.partial(self._load, name)
            metrics = AccountMetrics(self.metrics)
            connection = ConnectionCache(
                load, MAX_CONCURRENT_CALLS, clock=self.loop.time, open_transport=self.service(name), metrics=metrics
            )
            self.pollers[name] = Poller(
                load,
                clock=self.loop.time,
                connection=connection,
                schedule=Schedule(Policy(name, self.faults)),
                on_idle=lambda: self.pollers.__delitem__(name),
                metrics=metrics,
            )
        return self.pollers[name]

    def settings(self, name: str) -> TrimSettings:
        return TrimSettings.from_connection(**_parts(name, **self.extras.get(name, {})))

    async def _load(self, name: str) -> TrimSettings:
        if self.secrets:
            from airflow_provider_trim.hooks.connections import load_settings

            return await load_settings(name)
        if (nonsense := await self.faults.awaited(Collaborator.LOADER, name)) is not ...:
            return nonsense  # type: ignore[no-any-return]
        await asyncio.sleep(LATENCY)
        return self.settings(name)

    def start(self, conn_id: str, trans_no: str, *, name: str = "", **options: Any) -> asyncio.Task[None]:
        """Begin to wait for a trim.

        :param name: of the wait, if it has another than the trim
        """
        kind = PollState if name else Handled
        state = kind(trans_no, WaitOptions(**options), now=self.loop.time())
        return self.run(name or trans_no, lambda: self.poller(conn_id).wait(state))

    def run(self, wait: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[None]:
        """Run a wait, and record how it ends."""

        async def record() -> None:
            result: Any
            try:
                result = await main()
            except Exception as error:
                result = error
            self.ended[wait] = Ended(self.loop.time(), result)

        return asyncio.create_task(record())

    def call_back(self, name: str, trans_no: str) -> None:
        """Deliver a callback; if nothing listens here, another triggerer has it."""
        settings = self.settings(name)
        address, socket = callback_address(settings, trans_no), settings.callback_socket
        assert address is not None
        assert socket is not None
        path = urllib.parse.urlsplit(address).path
        if (server := self.loop.servers.get(socket[1])) is not None:
            server.request(path)
        else:
            AsyncRedis.deliver(name, path.encode())

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Log through the handler that may fail."""
        logger, handler = logging.getLogger("airflow_provider_trim"), Handler(self.faults)
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def left(self) -> list[str]:
        """Name what is left behind."""
        tasks = [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        counts = {
            "transports": sum(service.open for service in self.services.values()),
            "relays": AsyncRedis.open,
            "listeners": len(self.loop.servers),
            "pollers": len(self.pollers),
        }
        return tasks + [f"{count} {name}" for name, count in counts.items() if count]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a world; threads that hang are released at the end."""
    with asyncio.Runner(loop_factory=ListeningLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, ListeningLoop)
        try:
            with mock.patch("airflow_provider_trim.callbacks.listener.listen", loop.listen):
                runner.run(main())
        finally:
            loop.release_threads()
