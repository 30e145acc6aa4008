# SPDX-License-Identifier: Apache-2.0
"""The project's pages of Markdown, as their readers see them: blocks of code and links."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md")]) + sorted(
    path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts
)
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A fenced block; ``language`` is what stands after the fence, ``line`` where it begins, counted from 1."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """Where the reader is to save it, if its first line is a comment that says so."""
        named = re.match(r"# ([\w/]+\.py)\n", self.text)
        return named[1] if named else None


@functools.cache
def _tokens(page: Path) -> list[Token]:
    return _MARKDOWN.parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, those in lists as well."""
    tokens = _tokens(page)
    return [
        Block(page, token.map[0] + 2, token.info.strip(), token.content)
        for token in tokens
        if token.type == "fence" and token.map
    ]


def links(page: Path) -> list[str]:
    """Targets of all links and images of a page."""
    found = _walk(_tokens(page))
    targets = (token.attrGet("href") or token.attrGet("src") for token in found if token.type in ("link_open", "image"))
    return [str(target) for target in targets if target]


def headings(page: Path) -> list[str]:
    """All headings of a page, its title first."""
    tokens = _tokens(page)
    return [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]


def anchors(page: Path) -> set[str]:
    """What a link may name after ``#``: the headings, as code hosts spell them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def _walk(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _walk(token.children or [])
