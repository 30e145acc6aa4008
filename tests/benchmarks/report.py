# SPDX-License-Identifier: Apache-2.0
"""The result of a benchmark: a section of Markdown, and its figures with their bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Bar:
    """A figure, and the most that it may be."""

    figure: str
    value: float
    most: float
    digits: int = 2

    @property
    def met(self) -> bool:
        return self.value <= self.most

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = "met" if self.met else "**not met**"
        return (self.figure, f"{self.value:.{self.digits}f}", f"≤ {self.most:g}", verdict)


@dataclass
class Report:
    """A benchmark's section of the page."""

    title: str
    text: str
    bars: list[Bar] = field(default_factory=list)
    plots: dict[str, bytes] = field(default_factory=dict)
    """Files that the text shows, by name."""

    def markdown(self) -> str:
        held = [bar_table(self.bars)] if self.bars else []
        return "\n\n".join([f"## {self.title}", self.text.strip(), *held])

    def write_plots(self, folder: Path) -> None:
        for name, content in self.plots.items():
            (folder / name).write_bytes(content)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bar_table(bars: Iterable[Bar]) -> str:
    """Return figures with their bars."""
    return table(("figure", "measured", "bar", "verdict"), [bar.cells for bar in bars])
