# SPDX-License-Identifier: Apache-2.0
"""One thing, one word: docs/glossary.md has the words, and this test fails on those that they have replaced.

It reads prose, messages and identifiers of the package, its tests, the pages and the example DAGs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, name_of

INSTEAD = {
    r"look(?!s? like)(s|ed|ing)?": "poll; of a connection: load or reload; of a value: find",
    r"asks? about|asked about|asking about": "poll, query",
    r"called back": "callback received",
    r"told": "notified, given, configured",
    r"hurry|hurried": "expedite",
    r"afresh|anew": "again; reload, replace",
    r"whom|whoever": "which, a client, a caller",
    r"nobody": "nothing, no task, no client",
    r"beside": "with, in addition to, next to",
    r"so many": "a number of",
    r"be had": "cannot be combined, is unavailable",
    r"as a rule": "usually",
    r"in earnest": "in production",
    r"of (his|her) own accord": "by itself",
    r"front doors?": "host",
    r"is away|was away": "unreachable",
    r"stands? in line": "is queued",
    r"patience": "timeout",
    r"outlook": "expected delay",
    r"hoard(s|ed)?": "save",
    r"decipher(s|ed)?": "parse",
    r"misdeliver(y|s|ed)?": "callback fault",
    r"mend(s|ed)?": "fix",
    r"the house": "architecture",
}
"""What to write instead of each."""

CONSTANTS = re.compile(r"\b_?(LONGEST|SHORTEST|LARGEST|RAREST|CHEAPEST|DEAREST|MOST)_[A-Z]|\b[A-Z_]+_PAUSE\b")
"""``MAX_…``, ``MIN_…``, ``…_INTERVAL``, ``…_DELAY`` instead."""

REFERENCES = re.compile(r"\b(?:[Pp]itfalls?|[Ff]aults?) \d|\"\"\"\d+\.\d+: |\b[Rr]ow \d+\.\d+")
"""To documents that are not in the repository: state the fact instead."""

ALLOWED = {
    "tests/data": "samples of what earlier commits have written",
    "tests/test_vocabulary.py": "it has to name the words",
}
"""Files, and folders of files, that may use the words; and why."""

_WORDS = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b".replace(" ", r"\s+"), re.IGNORECASE)
_SEAMS = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])")


def files() -> Iterator[Path]:
    for folder in ("airflow_provider_trim", "example_dags", "tests"):
        yield from (ROOT / folder).rglob("*.py")
    yield from (ROOT / "docs").glob("*.py")
    yield from (ROOT / "docs" / "diagrams").glob("*.dot")
    yield from PAGES


def is_allowed(path: Path) -> bool:
    name = name_of(path)
    return any(name == allowed or name.startswith(f"{allowed}/") for allowed in ALLOWED)


FILES = sorted({path for path in files() if not is_allowed(path)})


def gone(text: str) -> list[str]:
    """Words of a text that are gone, each with its line; one that is broken over two lines is found as well."""
    split = _SEAMS.sub(" ", text)
    found = [
        (searched.count("\n", 0, match.start()) + 1, " ".join(match.group().split()))
        for pattern, searched in ((_WORDS, split), (CONSTANTS, text), (REFERENCES, text))
        for match in pattern.finditer(searched)
    ]
    return [f"line {line}: {word}" for line, word in sorted(found)]


def test_words_that_are_gone() -> None:
    found = {name_of(path): gone(path.read_text(encoding="utf-8")) for path in FILES}
    assert not {name: words for name, words in found.items() if words}


@pytest.mark.parametrize(
    "text",
    [
        "One look at it.",
        "Pitfall 9",
        "def first_look(self):",
        "class NobodyListens:",
        "LONGEST_WAIT = 5.0",
        "Redis\nis away",
    ],
)
def test_such_words_are_found(text: str) -> None:
    assert gone(text)


@pytest.mark.parametrize("text", ["It looks like one.", "a failed lookup", "MAX_WAIT = 5.0", "outlooked", "besides"])
def test_others_are_not(text: str) -> None:
    assert not gone(text)
