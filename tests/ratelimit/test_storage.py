# SPDX-License-Identifier: Apache-2.0
"""Redis that does not work: URLs that can't, servers that hang, clients that raise."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import trustme

from airflow_provider_trim.ratelimit.limiter import RateLimiters
from airflow_provider_trim.ratelimit.storage import (
    STORAGE_RETRY_DELAY,
    RedisStorage,
    Storages,
    StorageUnavailableError,
    connect,
)
from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock
from tests.support.live_airflow import free_port
from tests.support.redis_server import RedisServer


@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim@host:port/0",
        "redis://:geheim@host/0?max_connections=geheim",
        "redis://:geheim@host/0?max_connections=-1",
        "redis://:geheim@host/0?visibility_timeout=5",
        "redis://:geheim@host/0?ssl_cert_reqs=none",
        "rediss://:geheim@host/0?ssl_cert_reqs=geheim",
    ],
)
def test_a_url_that_cannot_work_is_refused_when_the_limiter_is_made(url: str) -> None:
    with pytest.raises(TrimSettingsError, match="quota_storage") as refused:
        connect(url)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """A Redis with a certificate for 127.0.0.1 alone; returns the URL of a host name."""
    folder, authority, port = tmp_path_factory.mktemp("tls"), trustme.CA(), free_port()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    files = {"cert": "server.pem", "key": "server.pem", "ca-cert": "ca.pem"}
    options = [word for name, file in files.items() for word in (f"--tls-{name}-file", str(folder / file))]
    with RedisServer("--tls-port", str(port), "--tls-auth-clients", "no", *options):
        yield lambda host: f"rediss://{host}:{port}/0?ssl_ca_certs={folder / 'ca.pem'}"


@pytest.mark.parametrize(("host", "options"), [("127.0.0.1", ""), ("localhost", "&ssl_check_hostname=false")])
def test_tls(host: str, options: str, tls_server: Callable[[str], str]) -> None:
    storage = Storages().get(tls_server(host) + options)
    script = storage.script("return 7")
    assert storage.call(lambda: script([], [])) == 7


def test_tls_without_certificates_checks_no_name(tls_server: Callable[[str], str]) -> None:
    storage = Storages().get(tls_server("localhost") + "&ssl_cert_reqs=none")
    script = storage.script("return 7")
    assert storage.call(lambda: script([], [])) == 7


def test_tls_checks_the_name_of_the_host(tls_server: Callable[[str], str]) -> None:
    storage = Storages().get(tls_server("localhost"))
    script = storage.script("return 7")
    with pytest.raises(StorageUnavailableError):
        storage.call(lambda: script([], []))


def test_one_client_for_a_url_while_it_is_in_use() -> None:
    storages = Storages()
    first = storages.get("redis://host/0")
    assert storages.get("redis://host/0") is first
    assert storages.get("redis://host/1") is not first


class BrokenClient:
    """A client whose calls raise what it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def register_script(self, _script: str) -> Callable[..., Any]:
        return self.fail

    def fail(self, *_: object) -> NoReturn:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [TypeError("option"), ValueError(), AttributeError(), RecursionError(), OSError()])
def test_whatever_a_client_raises_is_a_storage_that_is_unreachable(clock: Clock, error: Exception) -> None:
    client = BrokenClient(error)
    storage = RedisStorage(client, clock=clock)
    script = storage.script("")
    for _ in range(3):
        with pytest.raises(StorageUnavailableError, match=type(error).__name__):
            storage.call(lambda: script([], []))
    assert client.calls == 1
    assert not storage.reachable
    clock.now += STORAGE_RETRY_DELAY
    with pytest.raises(StorageUnavailableError):
        storage.call(lambda: script([], []))
    assert client.calls == 2
    clock.now += STORAGE_RETRY_DELAY
    assert storage.call(lambda: 7) == 7
    assert storage.reachable


def test_only_one_call_tries_an_unreachable_storage_again(clock: Clock) -> None:
    storage = RedisStorage(BrokenClient(OSError()), clock=clock)
    with pytest.raises(StorageUnavailableError):
        storage.call(storage.script(""))
    clock.now += STORAGE_RETRY_DELAY

    def others_go_on() -> str:
        with pytest.raises(StorageUnavailableError):
            storage.call(lambda: 1)
        return "tried"

    assert storage.call(others_go_on) == "tried"


class RefusingExecutor(concurrent.futures.ThreadPoolExecutor):
    """What a test sets as the event loop's default executor, so that nothing else than Airflow uses it."""

    def submit(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the default executor is for others")


def test_a_hung_redis_takes_nothing_from_the_event_loop(settings: Callable[..., TrimSettings]) -> None:
    """Two hundred accounts: each has its fallback, after one timeout for all of them."""
    with RedisServer() as server:
        connections = [settings("100/minute", login=str(number), quota_storage=server.url) for number in range(200)]
        limiters = RateLimiters()

        async def acquire_all() -> list[float]:
            asyncio.get_running_loop().set_default_executor(RefusingExecutor())
            return await asyncio.gather(*(limiters.get(connection).aacquire() for connection in connections))

        with server.unreachable():
            before = set(threading.enumerate())
            assert asyncio.run(acquire_all()) == [0.0] * 200
            names = [thread.name for thread in set(threading.enumerate()) - before]
            assert 0 < len([name for name in names if "trim-quota-storage" in name]) <= 4


async def test_a_response_that_never_comes_is_not_awaited_for_long(clock: Clock) -> None:
    """Nor one whose host name takes for ever to be resolved, which no timeout of a socket bounds."""
    storage, let_go = RedisStorage(BrokenClient(OSError()), clock=clock), threading.Event()
    try:
        with pytest.raises(StorageUnavailableError, match="TimeoutError"):
            await storage.acall(let_go.wait)
    finally:
        let_go.set()
