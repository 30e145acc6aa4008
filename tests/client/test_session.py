# SPDX-License-Identifier: Apache-2.0
"""The cached connection and its sessions, against the emulator and loaders of every kind, by an injected clock."""

from __future__ import annotations

import asyncio
import gc
import math
import shutil
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from airflow_provider_trim.client.connection_cache import LIFETIME, MAX_RELOAD_DELAY, RECHECK_INTERVAL, ConnectionCache
from airflow_provider_trim.client.session import Session
from airflow_provider_trim.emulator import ConnectionReset, Hold, HttpError, TrimEmulator
from airflow_provider_trim.vod.errors import TrimError, TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.models import TrimStatus
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock
from tests.support.connections import await_no_connections
from tests.support.emulators import settings_for

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]


class Loader:
    """Returns or raises what it is given, the last of them again and again; callables are awaited."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.count = 0

    async def __call__(self) -> TrimSettings:
        self.count += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        if callable(outcome):
            await outcome()
        return outcome if isinstance(outcome, TrimSettings) else self.outcomes[0]


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf}


@pytest.fixture
def settings(emulator: TrimEmulator) -> TrimSettings:
    return settings_for(emulator, quota="off")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(clock: Clock, emulator: TrimEmulator) -> AsyncIterator[Callable[..., ConnectionCache]]:
    """Makes caches, which are closed at the end; then no task is left, and no connection."""
    caches = []

    def cache(load: Loader, **options: Any) -> ConnectionCache:
        caches.append(ConnectionCache(load, 4, clock=clock, jitter=lambda: 1.0, **options))
        return caches[-1]

    yield cache
    for each in caches:
        await each.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.to_thread(await_no_connections, emulator)


async def loaded(connection: ConnectionCache, clock: Clock) -> Session:
    """Return a session, though a slow machine may need more than one attempt within a short ``load_timeout``."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await connection.session()
            except TrimTransportError:
                clock.advance(MAX_RELOAD_DELAY)


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


# --- loads ---


async def test_connection_is_loaded_once_for_all_that_need_it(cache: Any, settings: TrimSettings) -> None:
    load = Loader(settings)
    connection = cache(load)
    sessions = await asyncio.gather(*(connection.session() for _ in range(50)))
    assert len(set(map(id, sessions))) == 1
    assert (load.count, connection.version) == (1, 1)


async def test_connection_is_reloaded_in_the_background(cache: Any, settings: TrimSettings, clock: Clock) -> None:
    """The session in hand serves meanwhile, even if the reload never returns."""
    hang = asyncio.Event()
    load = Loader(settings, hang.wait, settings)
    connection = cache(load)
    session = await connection.session()
    clock.advance(LIFETIME - 1)
    assert await connection.session() is session
    assert load.count == 1
    clock.advance(1)
    for _ in range(5):
        assert await connection.session() is session
        await asyncio.sleep(0)
    assert (load.count, connection.version) == (2, 1)
    hang.set()
    await settled(lambda: connection.version == 2)
    assert await connection.session() is session  # the connection says the same as before


@pytest.mark.parametrize("kind", [TrimTransportError, TrimSettingsError, LookupError, asyncio.CancelledError])
async def test_reload_that_fails_keeps_the_session(
    cache: Any, settings: TrimSettings, clock: Clock, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    load = Loader(settings, kind("away"), kind("away"), settings)
    connection = cache(load)
    session = await connection.session()
    clock.advance(LIFETIME)
    for attempts in (2, 3, 4):
        assert await connection.session() is session
        await settled(lambda attempts=attempts: load.count == attempts)
        await asyncio.sleep(0)
        assert await connection.session() is session
        assert load.count == attempts  # not tried again so soon
        clock.advance(MAX_RELOAD_DELAY)
    await settled(lambda: connection.version == 2)
    assert [message.endswith("keeping the cached connection") for message in caplog.messages] == [True, True]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TrimTransportError("no secrets today"), "no secrets today"),
        (LookupError("s3cret"), "the connection could not be loaded: LookupError"),
        (asyncio.CancelledError(), "the connection could not be loaded: its loader was cancelled"),
    ],
)
async def test_first_load_may_fail_with_anything(
    cache: Any, settings: TrimSettings, clock: Clock, error: BaseException, text: str
) -> None:
    load = Loader(error, error, settings)
    connection = cache(load)
    for loads, delay in ((1, 1.0), (2, 2.0)):
        for _ in range(3):
            with pytest.raises(TrimTransportError, match=text) as raised:
                await connection.session()
            assert raised.value.retryable
        assert load.count == loads
        clock.advance(delay - 0.01)
        with pytest.raises(TrimTransportError):
            await connection.session()
        clock.advance(0.01)
    assert (await connection.session()).settings == settings
    assert load.count == 3


async def test_first_load_that_hangs_ends(cache: Any, settings: TrimSettings, clock: Clock) -> None:
    load = Loader(asyncio.Event().wait, settings)
    connection = cache(load, load_timeout=0.5)
    with pytest.raises(TrimTransportError, match="could not be loaded within 0 s"):
        await connection.session()
    assert (await loaded(connection, clock)).settings == settings


async def test_load_that_ignores_its_cancellation_holds_up_nothing_and_is_not_started_twice(
    cache: Any, settings: TrimSettings, clock: Clock
) -> None:
    stubborn, cancellations = asyncio.Event(), 0

    async def ignore() -> None:
        nonlocal cancellations
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                cancellations += 1

    load = Loader(ignore, settings)
    connection = cache(load, load_timeout=0.5)
    for _ in range(3):
        with pytest.raises(TrimTransportError, match="could not be loaded within"):
            await connection.session()
        clock.advance(MAX_RELOAD_DELAY)
    assert load.count == 1
    assert cancellations > 0
    stubborn.set()
    assert (await loaded(connection, clock)).settings == settings
    assert load.count == 1


async def test_a_wait_that_is_cancelled_cancels_no_load(cache: Any, settings: TrimSettings) -> None:
    go_on = asyncio.Event()
    connection = cache(load := Loader(go_on.wait, settings))
    impatient, patient = (asyncio.create_task(connection.session()) for _ in range(2))
    await settled(lambda: load.count == 1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go_on.set()
    assert (await patient).settings == settings
    assert load.count == 1


# --- invalidation ---


async def test_invalid_connection_is_reloaded_before_it_is_used(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings
) -> None:
    rotated = settings_for(emulator, password="rotated", quota="off")
    load = Loader(settings, rotated)
    connection = cache(load)
    await connection.session()
    connection.invalidate(0)  # of an earlier version
    assert (await connection.session()).settings == settings
    connection.invalidate(1)
    assert (await connection.session()).settings == rotated
    connection.invalidate(1)
    assert (load.count, connection.version) == (2, 2)


async def test_connection_whose_calls_fail_is_reloaded_soon_and_not_often(
    cache: Any, settings: TrimSettings, clock: Clock
) -> None:
    connection = cache(load := Loader(settings))
    await connection.session()
    for loads in (1, 2, 3):
        connection.recheck()
        clock.advance(RECHECK_INTERVAL - 1)
        await connection.session()
        assert load.count == loads
        clock.advance(1)
        await connection.session()
        await settled(lambda loads=loads: connection.version == loads + 1)


# --- sessions ---


async def query(session: Session, **options: Any) -> Any:
    try:
        return await session.query("t1", **options)
    except TrimError as error:
        return error


async def test_retired_session_is_closed_when_its_calls_have_ended(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings
) -> None:
    """The calls that are in flight are not broken off."""
    emulator.add_trim("t1")
    connection = cache(Loader(settings, settings_for(emulator, quota="off", timeout=29)))
    hold = Hold()
    emulator.misbehave("t1", hold)
    old = await connection.session()
    call = asyncio.create_task(old.query("t1"))
    await asyncio.to_thread(hold.wait_until_held)
    connection.invalidate(1)
    new = await connection.session()
    assert new is not old
    assert (await new.query("t1")).status is TrimStatus.PROCESSING
    assert emulator.connections_open == 2
    hold.release()
    assert (await call).status is TrimStatus.PROCESSING
    await settled(lambda: emulator.connections_open == 1)


async def test_replaced_session_is_not_current(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings, clock: Clock
) -> None:
    """A poll for which a permit was waited for meanwhile must not be made with it, since it is closed."""
    connection = cache(Loader(settings, settings, settings_for(emulator, quota="off", timeout=29)))
    session = await connection.session()
    for version, current in ((2, True), (3, False)):
        clock.advance(LIFETIME)
        assert await connection.session() is session
        await settled(lambda version=version: connection.version == version)
        assert connection.is_current(session) is current
    assert connection.is_current(await connection.session())


async def test_rotated_credentials_leave_nothing_behind(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings
) -> None:
    """0.8 MiB were kept for each."""
    emulator.add_trim("t1")
    rotations = [settings_for(emulator, quota="off", timeout=30 + number) for number in range(20)]
    connection = cache(Loader(*rotations, settings))
    retired = []
    for version in range(1, 21):
        session = await connection.session()
        assert (await session.query("t1")).status is TrimStatus.PROCESSING
        retired.append(weakref.ref(session))
        connection.invalidate(version)
    session = await connection.session()
    await settled(lambda: emulator.connections_open == 0)
    await settled(lambda: gc.collect() >= 0 and not any(reference() for reference in retired))
    assert len(set(map(id, retired))) == 20


async def test_new_content_of_the_ca_file_makes_a_new_session(
    cache: Any, settings: TrimSettings, clock: Clock, tmp_path: Path
) -> None:
    """The same path, and other certificates in it."""
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    trusting = TrimSettings.from_connection(
        host="https://127.0.0.1:1", login="me", password="t", extra={"verify": str(file), "quota": "off"}
    )
    connection = cache(Loader(trusting))
    first = await connection.session()

    async def reloaded() -> Session:
        version = connection.version
        clock.advance(LIFETIME)
        await connection.session()
        await settled(lambda: connection.version == version + 1)
        session: Session = await connection.session()
        return session

    assert await reloaded() is first
    file.write_text(file.read_text() + "\n# another\n")
    second = await reloaded()
    assert second is not first
    assert await reloaded() is second


async def test_broken_ca_file_keeps_the_session(
    cache: Any, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is being written, say."""
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    trusting = TrimSettings.from_connection(
        host="https://127.0.0.1:1", login="me", password="t", extra={"verify": str(file), "quota": "off"}
    )
    connection = cache(Loader(trusting))
    session = await connection.session()
    file.write_text("half a certif")
    clock.advance(LIFETIME)
    await connection.session()
    await settled(lambda: bool(caplog.messages))
    assert await connection.session() is session
    assert caplog.messages[0].endswith("keeping the cached connection")


async def test_new_connection_is_opened_where_it_is_asked_for(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings
) -> None:
    emulator.add_trim("t1")
    session = await cache(Loader(settings)).session()
    for _ in range(3):
        await session.query("t1")
    assert emulator.connections_opened == 1
    for opened in (2, 3, 4):
        await session.query("t1", new_connection=True)
        assert emulator.connections_opened == opened
    await session.query("t1")
    assert emulator.connections_opened == 4


@pytest.mark.parametrize("fault", [HttpError(503), ConnectionReset()])
async def test_failed_call_is_a_trim_error(
    cache: Any, emulator: TrimEmulator, settings: TrimSettings, fault: Any
) -> None:
    emulator.misbehave("t1", fault)
    assert type(await query(await cache(Loader(settings)).session())) is TrimTransportError


@pytest.mark.parametrize("error", [LookupError("a bug"), asyncio.CancelledError()])
async def test_unexpected_exception_of_a_call_is_a_passing_failure(
    cache: Any, settings: TrimSettings, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the transport, here; the signer and the parser are called in the same place."""
    session = await cache(Loader(settings)).session()

    async def fail(_: Any) -> Any:
        raise error

    monkeypatch.setattr(session._transport, "send", fail)
    outcome = await query(session)
    assert isinstance(outcome, TrimTransportError)
    assert outcome.retryable


async def test_cancelled_call_is_cancelled(cache: Any, emulator: TrimEmulator, settings: TrimSettings) -> None:
    session = await cache(Loader(settings)).session()
    hold = Hold()
    emulator.misbehave("t1", hold)
    call = asyncio.create_task(session.query("t1"))
    await asyncio.to_thread(hold.wait_until_held)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_closing_ends_a_load_that_hangs(settings: TrimSettings) -> None:
    connection = ConnectionCache(Loader(asyncio.Event().wait, settings), 1)
    waiting = asyncio.create_task(connection.session())
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
