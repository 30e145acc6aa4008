# SPDX-License-Identifier: Apache-2.0
"""The picture at a video's ``imageUrl``."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import TrimEmulator

SVG = "{http://www.w3.org/2000/svg}"


def texts(response: requests.Response) -> list[str | None]:
    """The texts in the picture, from top to bottom."""
    return [text.text for text in ET.fromstring(response.content).iter(f"{SVG}text")]


@pytest.mark.parametrize("trans_no", ["t1", "a/b?c", "<&>\x1b\r\n", "片"])
def test_the_image_url_leads_to_a_picture(emulator: TrimEmulator, client: Any, trans_no: str) -> None:
    emulator.add_trim(trans_no, seconds=0)
    info = client.post(trans_no).json()["data"]["videoInfo"]
    poster = requests.get(info["imageUrl"], timeout=60)
    assert (poster.status_code, poster.headers["Content-Type"]) == (200, "image/svg+xml")
    name, length = texts(poster)
    minutes, _, seconds = str(length).partition(":")
    assert int(minutes) * 60 + int(seconds) == int(info["videoDuration"])
    assert name == "".join(character for character in info["videoName"] if character.isprintable())


def test_it_shows_what_was_submitted(emulator: TrimEmulator, client: Any) -> None:
    client.submit("t1")
    emulator.finish("t1")
    assert texts(requests.get(emulator.video_info("t1")["imageUrl"], timeout=60)) == ["goal.flv", "0:12"]


def test_a_poster_is_no_call_of_the_service(emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)
    requests.get(emulator.video_info("t1")["imageUrl"], timeout=60)
    assert requests.get(f"{emulator.url}/posters/unknown.svg", timeout=60).status_code == 404
    assert (emulator.call_count, emulator.calls) == (0, [])
