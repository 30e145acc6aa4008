# SPDX-License-Identifier: Apache-2.0
"""The hook, through a connection in the environment, against the emulator."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trim.compat import Connection
from airflow_provider_trim.emulator import ConnectionReset, Hold, HttpError, RawResponse, ServiceData, TrimEmulator
from airflow_provider_trim.get_provider_info import get_provider_info
from airflow_provider_trim.hooks.connections import load_settings, parse_settings
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TransNoNotFoundError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimSettingsError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import ServerType, TrimStatus
from tests.support.connections import await_no_connections
from tests.support.live_airflow import free_port

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

TRANS_NO = "036b6f4a01611000a79c3a7800000000"
EXAMPLE = {
    "encrypt": 1,
    "playerId": "DF2DAF233DDA",
    "playerName": "基础播放器",
    "imageUrl": "",
    "transcodeState": "1",
    "updateTime": "1516182478",
    "uploadTime": "1516180828",
    "videoDuration": "189",
    "videoId": "DC543253DFA4D22C9ABF3F76721E54E7",
    "videoName": "3234234",
    "videoResolutions": [
        {"clarity": 1, "fileSize": 14937188, "height": 360, "serverType": -1, "width": 640},
        {"clarity": 2, "fileSize": 9204528, "height": 360, "serverType": 0, "width": 640},
        {"clarity": 3, "fileSize": 15184451, "height": 480, "serverType": 0, "width": 720},
    ],
    "videoSize": "39326167",
    "videoSourceCode": 4,
    "videoState": "0",
}
Connect = Callable[..., None]


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf, "token": "t0ken-of-the-test"}


# --- one question ---


def test_documented_example(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    emulator.add_trim(TRANS_NO, seconds=0, video_info=EXAMPLE)
    task = hook.get_task(TRANS_NO)
    assert (task.trans_no, task.status) == (TRANS_NO, TrimStatus.SUCCESSFUL)
    assert task.request_id == emulator.calls[0].request_id
    info = task.video_info
    assert info is not None
    assert info.raw == EXAMPLE
    assert (info.video_id, info.video_size, info.player_name) == (EXAMPLE["videoId"], 39326167, "基础播放器")
    assert [resolution.server_type for resolution in info.video_resolutions] == [-1, ServerType.PC, ServerType.PC]


def test_a_trim_that_is_not_done(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    emulator.add_trim(TRANS_NO)
    task = hook.get_task(TRANS_NO)
    assert (task.status, task.video_info) == (TrimStatus.PROCESSING, None)


@pytest.mark.parametrize(
    ("trans_no", "kind"),
    [("", TransNoEmptyError), (None, TransNoEmptyError), ("x" * 33, TransNoIllegalError), (7, TransNoIllegalError)],
)
async def test_an_impossible_trans_no_costs_no_call(
    hook: TrimApiHook, emulator: TrimEmulator, trans_no: Any, kind: type
) -> None:
    with pytest.raises(kind):
        hook.get_task(trans_no)
    with pytest.raises(kind):
        await hook.aget_task(trans_no)
    assert (emulator.call_count, emulator.connections_opened) == (0, 0)


def test_a_session_of_another_event_loop(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """Otherwise asyncio says "Event loop is closed"."""
    emulator.add_trim(TRANS_NO, seconds=0)

    with contextlib.closing(asyncio.new_event_loop()) as first:
        first.run_until_complete(hook.aget_task(TRANS_NO))
        with pytest.raises(RuntimeError, match=r"session belongs to another event loop; call aclose\(\) there, or use"):
            asyncio.run(hook.aget_task(TRANS_NO))
        first.run_until_complete(hook.aclose())

    async def query() -> TrimStatus:
        async with hook:
            return (await hook.aget_task(TRANS_NO)).status

    assert asyncio.run(query()) is TrimStatus.SUCCESSFUL


# --- asking again ---


@pytest.mark.parametrize("fault", [HttpError(500), ConnectionReset(), RawResponse(b"<html>")], ids=repr)
def test_transient_failure_is_retried(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.add_trim(TRANS_NO, seconds=0)
    emulator.misbehave(TRANS_NO, fault, fault)
    assert hook.get_task(TRANS_NO).status is TrimStatus.SUCCESSFUL
    assert emulator.call_count == 3
    first, second = slept
    assert 0.5 <= first <= 1.0 <= second <= 1.5


def test_retries_are_bounded(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.misbehave(TRANS_NO, HttpError(503), repeat=True)
    with pytest.raises(TrimTransportError) as caught:
        hook.get_task(TRANS_NO)
    assert caught.value.http_status == 503
    assert caught.value.request_id == emulator.calls[-1].request_id
    assert emulator.call_count == 4
    assert len(slept) == 3


def test_http_429_pauses_every_call_of_the_account(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]
) -> None:
    """Every caller of the account waits, and longer after each refusal in a row."""
    emulator.add_trim(TRANS_NO, seconds=0)
    emulator.misbehave(TRANS_NO, HttpError(429), HttpError(429))
    with pytest.raises(TrimQuotaExceededError):
        hook.query_once(TRANS_NO)
    with pytest.raises(TrimQuotaExceededError) as closed:
        hook.query_once(TRANS_NO)
    assert emulator.call_count == 1
    assert closed.value.http_status is None
    assert 0 < closed.value.retry_after <= 1
    assert hook.get_task(TRANS_NO).status is TrimStatus.SUCCESSFUL
    assert emulator.call_count == 3
    assert sum(slept) >= 1 + 2 - 0.1


@pytest.mark.parametrize(("retry_after", "pauses"), [("30", [30.0]), ("60", [60.0]), ("61", None)])
def test_retry_after_is_honoured_up_to_a_minute(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], retry_after: str, pauses: list[float] | None
) -> None:
    emulator.add_trim(TRANS_NO, seconds=0)
    emulator.misbehave(TRANS_NO, HttpError(429, headers={"Retry-After": retry_after}))
    if pauses is None:
        with pytest.raises(TrimQuotaExceededError) as caught:
            hook.get_task(TRANS_NO)
        assert caught.value.retry_after == 61
    else:
        hook.get_task(TRANS_NO)
    assert slept == (pauses or [])


def test_http_429_takes_no_attempt_from_a_query_that_is_lost(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]
) -> None:
    emulator.add_trim(TRANS_NO, seconds=0)
    refused = HttpError(429, headers={"Retry-After": "1"})
    emulator.misbehave(TRANS_NO, refused, HttpError(503), refused, HttpError(503), refused, HttpError(503))
    assert hook.get_task(TRANS_NO).status is TrimStatus.SUCCESSFUL
    assert emulator.call_count == 7


@pytest.mark.parametrize("limit", [math.nan, math.inf, -1, "60", True])
def test_a_time_limit_that_is_none(limit: Any) -> None:
    """Of nan, each comparison is false, and the hook would wait without end."""
    with pytest.raises(ValueError, match=r"^quota_timeout must be "):
        TrimApiHook("trim_test", quota_timeout=limit)


def test_permanent_failure_is_not_retried(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    with pytest.raises(TransNoNotFoundError):
        hook.get_task(TRANS_NO)
    emulator.add_trim(TRANS_NO, processing_code=1560)
    with pytest.raises(VideoProcessingError):
        hook.get_task(TRANS_NO)
    emulator.token = "rotated"
    with pytest.raises(TrimAuthError):
        hook.get_task(TRANS_NO)
    assert emulator.call_count == 3
    assert slept == []


def test_ask_never_retries(hook: TrimApiHook, emulator: TrimEmulator, slept: list[float]) -> None:
    emulator.misbehave(None, HttpError(503))
    with pytest.raises(TrimTransportError):
        hook.query_once(TRANS_NO)
    assert (emulator.call_count, slept) == (1, [])


def test_a_call_does_not_wait_for_ever(connect: Connect, emulator: TrimEmulator) -> None:
    connect(timeout=0.1)
    emulator.misbehave(None, Hold(), repeat=True)
    with TrimApiHook("trim_test") as hook, pytest.raises(TrimTransportError, match="timed out"):
        hook.query_once(TRANS_NO)


# --- the session ---


def test_one_session_serves_the_hooks_lifetime(connect: Connect, emulator: TrimEmulator) -> None:
    emulator.add_trim(TRANS_NO)
    with TrimApiHook("trim_test") as hook:
        for _ in range(3):
            hook.get_task(TRANS_NO)
        assert hook.get_conn() is hook.get_conn()
        assert (emulator.connections_opened, emulator.connections_open) == (1, 1)
        hook.close()
        hook.close()
        hook.get_task(TRANS_NO)
    assert emulator.connections_opened == 2
    await_no_connections(emulator)


async def test_query_from_an_event_loop(connect: Connect, emulator: TrimEmulator) -> None:
    """The same result as from a thread, over one session, with the same timeout."""
    emulator.add_trim(TRANS_NO, seconds=0, video_info=EXAMPLE)
    emulator.misbehave(TRANS_NO, HttpError(503))
    async with TrimApiHook("trim_test") as hook:
        tasks = [await hook.aget_task(TRANS_NO) for _ in range(3)]
        same = await asyncio.to_thread(hook.get_task, TRANS_NO)
        assert emulator.connections_opened == 2
    await hook.aclose()
    assert all(task.model_copy(update={"request_id": same.request_id}) == same for task in tasks)
    assert len(emulator.calls) == 5
    await asyncio.to_thread(await_no_connections, emulator)


def test_refresh_sees_a_changed_connection(hook: TrimApiHook, emulator: TrimEmulator, connect: Connect) -> None:
    emulator.add_trim(TRANS_NO)
    hook.get_task(TRANS_NO)
    emulator.token = "rotated"
    connect()
    with pytest.raises(TrimAuthError):
        hook.get_task(TRANS_NO)
    hook.reload_connection()
    assert hook.get_task(TRANS_NO).status is TrimStatus.PROCESSING


# --- the connection ---


async def test_a_missing_connection_is_named(emulator: TrimEmulator) -> None:
    expected = "there is no connection 'no_such_trim'; add one of type trim, or correct trim_conn_id"
    with pytest.raises(TrimSettingsError) as caught:
        TrimApiHook("no_such_trim").get_task(TRANS_NO)
    assert str(caught.value) == expected
    with pytest.raises(TrimSettingsError) as caught:
        await load_settings("no_such_trim")
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"auth": "basic"}, "extra 'auth'.*'token'.*'api-key'"),
        ({"timeout": "soon"}, "extra 'timeout'.*number"),
        ({"timeout": 0}, "extra 'timeout': must be a number of seconds without a unit, more than 0"),
        ({"method": "PUT"}, "extra 'method'.*'POST' or 'GET'"),
        ({"verify": 3}, "extra 'verify'.*path of a CA file"),
        ({"quota": "many"}, "extra 'quota'.*300/5 minutes"),
        ({"quota_storage": "s3cret://"}, "extra 'quota_storage'.*redis://"),
        ({"tokn_header": "X"}, "extra 'tokn_header' is unknown; allowed are .*token_header"),
        ({"method": "GET"}, "allow_token_in_url"),
    ],
)
async def test_what_is_wrong_with_a_connection_is_named(connect: Connect, extra: dict[str, Any], words: str) -> None:
    connect(**extra)
    for attempt in (
        TrimApiHook("trim_test").aget_task(TRANS_NO),
        asyncio.to_thread(TrimApiHook("trim_test").query_once, "t"),
    ):
        with pytest.raises(TrimSettingsError, match=words) as caught:
            await attempt
        assert "s3cret" not in str(caught.value)
        assert "t0ken" not in str(caught.value)


async def test_the_loop_and_the_thread_read_the_same_connection(connect: Connect, emulator: TrimEmulator) -> None:
    connect(token_header="X-Token", timeout="7.5", verify="false", quota="30/minute", allow_http=True)
    settings = await load_settings("trim_test")
    assert settings == TrimApiHook("trim_test").settings
    assert (settings.base_url, settings.timeout, settings.verify) == (emulator.url, 7.5, False)
    assert (settings.login, settings.password.get_secret_value()) == (emulator.user, emulator.token)


@pytest.mark.parametrize("extra", [["auth"], "auth", 5], ids=repr)
async def test_extras_that_are_no_object(monkeypatch: pytest.MonkeyPatch, extra: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_TEST", json.dumps({"conn_type": "trim", "extra": json.dumps(extra)}))
    with pytest.raises(TrimSettingsError, match="connection extra must be a JSON object"):
        await load_settings("trim_test")
    works, message = TrimApiHook("trim_test").test_connection()
    assert (works, message[:16]) == (False, "connection extra")


@pytest.mark.parametrize("conn_type", ["aws", "smtp", "postgres", "http", "Trim"])
async def test_connection_of_another_type_is_refused(
    monkeypatch: pytest.MonkeyPatch, emulator: TrimEmulator, conn_type: str
) -> None:
    """Its password is for another service, and ``trim_conn_id`` may be a template."""
    connection = {"conn_type": conn_type, "host": emulator.url, "login": "emulator", "password": "for-another"}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    expected = f"connection 'other' is of type '{conn_type}', not 'trim'; correct its type, or trim_conn_id"
    with pytest.raises(TrimSettingsError) as caught:
        await load_settings("other")
    assert (str(caught.value), caught.value.retryable) == (expected, False)
    assert TrimApiHook("other").test_connection() == (False, expected)
    assert emulator.call_count == 0


async def test_connection_without_a_type_is_taken(monkeypatch: pytest.MonkeyPatch, emulator: TrimEmulator) -> None:
    connection = {"host": emulator.url, "login": emulator.user, "password": emulator.token}
    monkeypatch.setenv("AIRFLOW_CONN_UNTYPED", json.dumps(connection))
    assert (await load_settings("untyped")).login == emulator.user
    assert TrimApiHook("untyped").test_connection()[0]


@pytest.mark.parametrize("text", ['{"login": 123}', '{"login": "me"', '{"conn_type": "trim", "port": "eighty"}'])
async def test_connection_that_can_t_be_read(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Airflow says that there is none, which a wait would sit out."""
    monkeypatch.setenv("AIRFLOW_CONN_UNREADABLE", text)
    for attempt in (load_settings("unreadable"), asyncio.to_thread(TrimApiHook("unreadable").query_once, "t")):
        with pytest.raises(TrimSettingsError) as caught:
            await attempt
        assert str(caught.value).startswith(
            "connection 'unreadable' can't be read from the environment variable AIRFLOW_CONN_UNREADABLE; it must be"
        )
        assert not caught.value.retryable


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("geheim", '"password": "t"}'),
        ("me:geheim", '"password": "t"}'),
        ("[]", '"password": "t"}'),
        ("export AIRFLOW_CONN_X=1", '"password": "t"}'),
        ('"trim://me:geheim@host"', "; remove the quotes around it"),
        ('\'{"conn_type": "trim", "password": "geheim"}\'', "; remove the quotes around it"),
        ("trim://me:gehe/im@host", "percent-encode the characters /, @, : and % of login and password"),
        ('{"user": "me", "password": "geheim"}', "a connection has no field 'user': write 'login'"),
        ('{"login": "me", "token": "geheim"}', "a connection has no field 'token': write 'password'"),
    ],
)
async def test_text_that_is_no_connection(monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    """Airflow reads some of it as a URI without login and password, for the vendor's host."""
    monkeypatch.setenv("AIRFLOW_CONN_UNREADABLE", text)
    for attempt in (load_settings("unreadable"), asyncio.to_thread(TrimApiHook("unreadable").query_once, "t")):
        with pytest.raises(TrimSettingsError, match=r"^connection 'unreadable' can't be read from the envi") as caught:
            await attempt
        assert str(caught.value).endswith(why)
        assert 'must be a URI, or JSON of texts, such as trim://login:password@ (percent-encoded) or {"' in str(
            caught.value
        )
        assert "gehe" not in str(caught.value)
        assert not caught.value.retryable


async def test_connection_of_nothing_from_a_secrets_backend() -> None:
    """A backend's text is read as a URI, too."""
    with pytest.raises(TrimSettingsError, match=r"^connection 'x' has no type, host, login or password; it must be a"):
        parse_settings(Connection(conn_id="x", conn_type="", schema="eheim"), {})
    assert parse_settings(Connection(conn_id="x", conn_type="trim"), {}).login == ""  # a gateway may add credentials


@pytest.mark.parametrize(
    ("login", "password", "note"),
    [
        ("", "{}", "the connection has no login; set it"),
        ("emulator", "", "the connection has no password; set it"),
        ("emulator", "{} ", "the connection's password has spaces around it; remove them"),
        ("emulator", "'{}'", "the connection's password is in quotes; remove them"),
        ('"emulator"', "{}", "the connection's login is in quotes; remove them"),
    ],
)
def test_refused_credentials_that_are_probably_wrong(
    monkeypatch: pytest.MonkeyPatch, emulator: TrimEmulator, login: str, password: str, note: str
) -> None:
    parts = {"host": emulator.url, "login": login, "password": password.format(emulator.token)}
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_TEST", json.dumps({"conn_type": "trim", **parts}))
    works, message = TrimApiHook("trim_test").test_connection()
    assert (works, note in message) == (False, True), message


@pytest.mark.parametrize(("name", "shown"), [("timeout", "'timeout'"), ("my-geheim", "'my-***'")])
async def test_extras_among_the_fields_of_a_connection(monkeypatch: pytest.MonkeyPatch, name: str, shown: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MISPLACED", json.dumps({"conn_type": "trim", "password": "geheim", name: 5}))
    for attempt in (load_settings("misplaced"), asyncio.to_thread(TrimApiHook("misplaced").query_once, "t")):
        with pytest.raises(TrimSettingsError, match='extras belong under "extra"') as caught:
            await attempt
        assert f"has no field {shown}" in str(caught.value)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("conn_id", [None, 5, ["trim_default"]])
async def test_connection_id_that_is_no_text(conn_id: Any) -> None:
    for attempt in (load_settings(conn_id), asyncio.to_thread(TrimApiHook(conn_id).query_once, "t")):
        with pytest.raises(TrimSettingsError, match="trim_conn_id must be a string, not ") as caught:
            await attempt
        assert not caught.value.retryable


async def test_extras_that_are_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow takes them for none."""
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_TEST", json.dumps({"conn_type": "trim", "extra": '{"auth": "api-key"'}))
    with pytest.raises(TrimSettingsError, match="connection extra is not valid JSON: "):
        await load_settings("trim_test")
    assert "not valid JSON" in TrimApiHook("trim_test").test_connection()[1]


async def test_secrets_backend_failure_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a backend raises, a wait in the triggerer is not ended by it."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "no_such_module.Backend")
    monkeypatch.setenv("AIRFLOW__WORKERS__SECRETS_BACKEND", "no_such_module.Backend")
    with pytest.raises(TrimTransportError, match="connection 'trim_test' could not be loaded: Airflow") as caught:
        await load_settings("trim_test")
    assert caught.value.retryable


# --- the form ---


def test_a_connection_that_works(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    assert hook.test_connection() == (True, f"{emulator.url} responded and accepted the credentials.")
    (call,) = emulator.calls
    assert (call.code, len(call.trans_no or "")) == (1603, 32)


def test_a_connection_whose_quota_storage_is_unreachable(connect: Connect, emulator: TrimEmulator) -> None:
    connect(quota_storage=f"redis://:geheim@127.0.0.1:{free_port()}/0")
    assert TrimApiHook("trim_test").test_connection() == (
        False,
        f"{emulator.url} responded and accepted the credentials. The quota storage is unreachable (ConnectionError), "
        "so the quota is not shared; check quota_storage.",
    )


def test_what_the_service_says_of_a_trim_names_it(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    with pytest.raises(TransNoNotFoundError, match=r"^trim nope: API error: .* \(code 1603, "):
        hook.get_task("nope")


async def test_it_is_named_in_an_event_loop_as_well(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    async with hook:
        with pytest.raises(TransNoNotFoundError, match=r"^trim nope: API error: "):
            await hook.aget_task(" nope\n")


async def test_blanks_around_a_trans_no(hook: TrimApiHook, emulator: TrimEmulator) -> None:
    """Templates and shells leave them; the service would take them for a part of it."""
    parameters = {"video_id": " V1\n", "seek_start": "0", "duration": 1, "filename": "f"}
    assert hook.submit_trim(trans_no=" T1\n", **parameters) == "T1"
    emulator.finish("T1")
    assert hook.get_task("\tT1 ").trans_no == "T1"
    async with hook:
        assert (await hook.aget_task("T1\n")).trans_no == "T1"
    for nothing in (" ", "\n"):
        with pytest.raises(TransNoEmptyError, match=r"^trans_no is empty"):
            hook.get_task(nothing)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (HttpError(503), "service unavailable (HTTP status 503, request id "),
        (ConnectionReset(), "request to "),
        (RawResponse(b"hello"), "unexpected response (not JSON): 'hello'"),
        (ServiceData({"status": 1}), "The service returned a result for a random transNo"),
    ],
    ids=repr,
)
def test_a_connection_that_does_not_work(
    hook: TrimApiHook, emulator: TrimEmulator, slept: list[float], fault: Any, words: str
) -> None:
    emulator.misbehave(None, fault)
    works, message = hook.test_connection()
    assert (works, message[: len(words)]) == (False, words)
    assert emulator.token not in message
    assert slept == []


def test_a_connection_with_a_wrong_token(connect: Connect) -> None:
    connect(password="wr0ng")
    works, message = TrimApiHook("trim_test").test_connection()
    assert not works
    assert message.startswith("authentication failed")
    assert "wr0ng" not in message


@pytest.mark.parametrize("conn_id", ["no_such_trim", "trim_test"])
def test_a_connection_that_cannot_work(connect: Connect, conn_id: str) -> None:
    connect(retries=3)
    works, message = TrimApiHook(conn_id).test_connection()
    assert not works
    assert message.startswith({"no_such_trim": "there is no connection", "trim_test": "connection extra"}[conn_id])


def test_both_airflows_forms_come_from_one_place() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    described = connection_type["ui-field-behaviour"]
    assert TrimApiHook.get_ui_field_behaviour() == {
        "hidden_fields": described["hidden-fields"],
        "relabeling": described["relabeling"],
        "placeholders": described["placeholders"],
    }
    # Airflow 2.11 asks for none that are inherited.
    assert {"get_ui_field_behaviour", "get_connection_form_widgets"} <= vars(TrimApiHook).keys()
    assert TrimApiHook.conn_type == connection_type["connection-type"]
    assert TrimApiHook.hook_name == connection_type["hook-name"]
    assert f"{TrimApiHook.__module__}.{TrimApiHook.__qualname__}" == connection_type["hook-class-name"]


def test_the_extras_of_airflow_2s_form() -> None:
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 reads the provider info instead")
    (connection_type,) = get_provider_info()["connection-types"]
    widgets = TrimApiHook.get_connection_form_widgets()
    assert widgets.keys() == connection_type["conn-fields"].keys()
    kinds = {name: widget.field_class.__name__ for name, widget in widgets.items()}
    assert (kinds["allow_http"], kinds["proxy"], kinds["quota"]) == ("BooleanField", "PasswordField", "StringField")
    assert kinds["timeout"] == "IntegerField"


@pytest.mark.parametrize(
    ("given", "refused"),
    [({}, []), ({"auth": "basic", "timeout": "0"}, ["auth", "timeout"]), ({"auth": "api-key", "timeout": "7"}, [])],
)
def test_airflow_2s_form_refuses_what_can_not_work(given: dict, refused: list[str]) -> None:
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 reads the provider info instead")
    from werkzeug.datastructures import MultiDict
    from wtforms import Form

    form = type("ConnectionForm", (Form,), TrimApiHook.get_connection_form_widgets())(MultiDict(given))
    form.validate()
    assert sorted(form.errors) == refused
    assert "One of: token, ws3-hmac-sha256" in form.auth.description


def test_nothing_shows_the_token(hook: TrimApiHook, emulator: TrimEmulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    emulator.misbehave(TRANS_NO, HttpError(503), ConnectionReset(), RawResponse(b"?"), HttpError(403))
    with pytest.raises(TrimError) as caught:
        hook.get_task(TRANS_NO)
    assert not isinstance(caught.value, TrimResponseError)
    shown = f"{caplog.text} {caught.value!r} {caught.value} {hook.settings!r} {vars(hook)!r}"
    assert emulator.token not in shown
