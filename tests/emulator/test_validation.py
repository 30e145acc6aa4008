# SPDX-License-Identifier: Apache-2.0
"""Validation of a submission's parameters, and the codes for invalid ones."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator

WAYS = ["submit", "submit_json", "submit_get"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("trans_no", "code"), [(None, 1601), ("", 1601), ("x" * 33, 1602)], ids=["missing", "empty", "long"]
)
def test_invalid_trans_no(emulator: TrimEmulator, client: Any, way: str, trans_no: str | None, code: int) -> None:
    # transNo is checked before the other parameters.
    response = getattr(client, way)(trans_no, videoId=None)
    assert response.status_code == 200
    assert (response.json()["code"], response.json()["data"]) == (code, None)
    assert emulator.submissions == []


@pytest.mark.parametrize("trans_no", [17, True, ["t1"], "\ud800"], ids=repr)
def test_trans_no_that_is_not_text_is_illegal(emulator: TrimEmulator, client: Any, trans_no: Any) -> None:
    assert client.submit_json(trans_no).json()["code"] == 1602


def test_trans_no_of_maximum_length_is_accepted(emulator: TrimEmulator, client: Any) -> None:
    assert client.submit("x" * 32).json()["code"] == 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["videoId", "seekStart", "duration", "filename"])
def test_missing_required_parameter_is_named(emulator: TrimEmulator, client: Any, way: str, name: str) -> None:
    response = getattr(client, way)("t1", **{name: None})
    assert response.status_code == 200
    assert response.json() == {"code": 1000, "message": f"{name} is missing", "data": None}
    assert emulator.submissions == []
    assert client.post("t1").json()["code"] == 1603


INVALID = [
    ("videoId", "", 1000),
    ("seekStart", "-1", 1000),
    ("seekStart", "1.5", 1000),
    ("seekStart", "", 1000),
    ("seekStart", "٣", 1000),
    ("duration", "0", 1000),
    ("duration", "-3", 1000),
    ("duration", "12s", 1000),
    ("duration", "9" * 19, 1000),
    ("filename", "", 1000),
    ("suffix", "avi", 1000),
    ("suffix", "", 1000),
    ("notifyUrl", "", 1000),
    ("notifyUrl", "ftp://example.com/", 1000),
    ("notifyUrl", "http://", 1000),
    ("notifyUrl", "http://[", 1000),
    ("enableVideoTranscode", "2", 1000),
    ("enableVideoTranscode", "yes", 1000),
    ("resolution", "640", 1565),
    ("resolution", "640x0", 1565),
    ("resolution", "0x480", 1565),
    ("resolution", "640X480", 1565),
    ("resolution", "640x480p", 1565),
    ("resolution", "-640x480", 1565),
    ("frameRate", "0", 1561),
    ("frameRate", "29.97", 1561),
    ("samplingRate", "0", 1562),
    ("samplingRate", "high", 1562),
    ("videoBitRate", "0", 1563),
    ("videoBitRate", "-800", 1563),
    ("audioBitRate", "0", 1564),
    ("audioBitRate", "", 1564),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "value", "code"), INVALID)
def test_invalid_parameter_is_rejected_with_its_code_and_named(
    emulator: TrimEmulator, client: Any, way: str, name: str, value: str, code: int
) -> None:
    response = getattr(client, way)("t1", **{name: value})
    assert response.status_code == 200
    assert (response.json()["code"], response.json()["data"]) == (code, None)
    assert response.json()["message"].startswith(f"{name} is not ")
    assert emulator.submissions == []
    assert client.post("t1").json()["code"] == 1603


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("videoId", 5, 1000),
        ("videoId", "\ud800", 1000),
        ("seekStart", -1, 1000),
        ("seekStart", True, 1000),
        ("duration", 12.0, 1000),
        ("duration", 10**18, 1000),
        ("duration", [12], 1000),
        ("filename", {}, 1000),
        ("suffix", ["flv"], 1000),
        ("notifyUrl", 5, 1000),
        ("enableVideoTranscode", True, 1000),
        ("resolution", [640, 480], 1565),
        ("frameRate", 0, 1561),
        ("samplingRate", False, 1562),
        ("videoBitRate", 0.5, 1563),
        ("audioBitRate", {}, 1564),
    ],
)
def test_wrong_type_in_a_json_body_is_rejected(
    emulator: TrimEmulator, client: Any, name: str, value: Any, code: int
) -> None:
    response = client.submit_json("t1", **{name: value})
    assert response.json()["code"] == code
    assert response.json()["message"].startswith(f"{name} is not ")
    assert emulator.submissions == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seekStart", 0),
        ("duration", 1),
        ("suffix", "mp4"),
        ("notifyUrl", "http://example.com"),
        ("enableVideoTranscode", 0),
        ("resolution", "1x1"),
        ("frameRate", 1),
    ],
)
def test_parameter_at_its_limit_is_accepted(
    emulator: TrimEmulator, client: Any, way: str, name: str, value: str | int
) -> None:
    assert getattr(client, way)("t1", **{name: value}).json()["code"] == 200
    assert emulator.submissions[0].parameters[name] == value


def test_number_in_a_json_body_can_be_a_string(emulator: TrimEmulator, client: Any) -> None:
    assert client.submit_json("t1", duration="15").json()["code"] == 200
    assert emulator.submissions[0].parameters["duration"] == 15


@pytest.mark.parametrize(
    ("suffix", "rate", "code"),
    [
        (None, 44100, 200),
        (None, 48000, 1562),
        ("flv", 11025, 200),
        ("flv", 8000, 1562),
        ("mp4", 48000, 200),
        ("mp4", 0, 1562),
    ],
)
def test_flv_allows_three_sampling_rates_and_mp4_any(client: Any, suffix: str | None, rate: int, code: int) -> None:
    response = client.submit("t1", suffix=suffix, samplingRate=rate)
    assert response.json()["code"] == code
    assert code == 200 or "samplingRate" in response.json()["message"]


def test_sampling_rate_has_the_configured_name(client: Any) -> None:
    with TrimEmulator(sampling_rate_parameter="tassamplingRatekId") as emulator:
        client.emulator = emulator
        rejected = client.submit("t1", tassamplingRatekId=1).json()
        assert (rejected["code"], "tassamplingRatekId" in rejected["message"]) == (1562, True)
        assert client.submit("t1", tassamplingRatekId=22050, samplingRate="nonsense").json()["code"] == 200
        parameters = emulator.submissions[0].parameters
        assert (parameters["tassamplingRatekId"], "samplingRate" in parameters) == (22050, False)


def test_other_names_of_the_sampling_rate_are_ignored(emulator: TrimEmulator, client: Any) -> None:
    assert client.submit("t1", tassamplingRatekId="nonsense").json()["code"] == 200
    assert "tassamplingRatekId" not in emulator.submissions[0].parameters
    with pytest.raises(ValueError, match="samplingRate or tassamplingRatekId, not 'rate'"):
        TrimEmulator(sampling_rate_parameter="rate")  # type: ignore[arg-type]
