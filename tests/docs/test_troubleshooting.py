# SPDX-License-Identifier: Apache-2.0
"""Every message of an error either says what to do, or is found on the page that does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.messages import Message, messages
from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
MESSAGES = messages()
HEADINGS = [line[4:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]

SAYS_WHAT_TO_DO = re.compile(
    r"\b(must|allowed are|check|set|use|write|add one|remove|correct|choose|name|such as|takes only|at most|pip install"
    r"|can't be (replaced|read)|is not valid JSON|is a connection field|from pasting|in the place of)\b",
    re.IGNORECASE,
)
"""In a message that explains itself: what the value must be, or what to change."""


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).lower()


def test_there_are_messages_of_every_kind() -> None:
    found = " ".join(message.text for message in MESSAGES)
    for words in (
        "there is no connection",
        "must be a number of seconds",
        "rate limit exceeded",
        "request to",
        "hangs at",
    ):
        assert words in found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.where)
def test_a_message_says_what_to_do_or_is_on_the_page(message: Message) -> None:
    page = plain(PAGE.read_text(encoding="utf-8"))
    explained = SAYS_WHAT_TO_DO.search(message.text) or any(plain(phrase) in page for phrase in message.phrases)
    assert explained or not message.phrases, message


@pytest.mark.parametrize(
    "symptom",
    [
        "there is no connection",
        "hangs at xcom_pull",
        "deferred for ever",
        "rate limit exceeded",
        "should be a string, not int",
        "a clip that is not the one expected",
        "stuck",
    ],
)
def test_a_symptom_is_in_a_heading(symptom: str) -> None:
    assert any(plain(symptom) in plain(heading) for heading in HEADINGS)


def test_a_number_is_a_heading_of_its_own() -> None:
    """The documentation's search finds numbers in headings alone, and only if they are at least half of one."""
    numbers = {number for heading in HEADINGS for number in re.findall(r"\b\d{3,4}\b", heading)}
    assert numbers >= {"401", "403", "407", "429", "500", "503", "1301", "1560", "1601", "1602", "1603"}
    assert numbers <= set(HEADINGS)


def test_the_page_is_linked() -> None:
    assert "docs/troubleshooting.md" in Path(ROOT / "README.md").read_text(encoding="utf-8")
    assert "troubleshooting" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
