# SPDX-License-Identifier: Apache-2.0
"""What a soak has shown: a plot over its time, and a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

BLUE, BROWN, RED = "#4a6b7c", "#b08d3c", "#a33"


@dataclass(frozen=True)
class Sample:
    """What there was to see at one moment."""

    minute: float
    memory: dict[str, float]
    """MiB of each triggerer."""
    calls: int
    """All so far."""
    running: int
    """Trims that were not done."""


@dataclass
class Soak:
    """All of it. Times are minutes since its beginning."""

    quota: tuple[int, int]
    samples: list[Sample] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)
    """When a trim ended, and the seconds until a response of the service said so."""
    figures: list[tuple[str, str]] = field(default_factory=list)

    def note_delays(self) -> None:
        delays = sorted(delay for _, delay in self.delays)
        late = delays[int(0.99 * len(delays))]
        text = f"{statistics.fmean(delays):.1f} s, {statistics.median(delays):.1f} s, {late:.0f} s, {delays[-1]:.0f} s"
        self.figures.append(("from a trim's end until it was seen: mean, median, 99 %, longest", text))

    def note_memory(self, survivor: str) -> None:
        """Note the memory of the triggerer that was never killed, from when it has what it needs."""
        held = [(sample.minute, sample.memory[survivor]) for sample in self.samples if survivor in sample.memory]
        tenth = max(1, len(held) // 10)
        begin, end = (statistics.fmean(mib for _, mib in part) for part in (held[tenth : 2 * tenth], held[-tenth:]))
        text = f"{begin:.0f} MiB, {end:.0f} MiB"
        self.figures.append(("memory of the triggerer that was not killed: second tenth of the time, last tenth", text))

    def table(self) -> str:
        rows = [f"| {what} | {figure} |" for what, figure in self.figures]
        return "\n".join(["| | |", "| --- | ---: |", *rows]) + "\n"

    def draw(self, path: Path) -> None:
        import matplotlib as mpl

        mpl.use("svg")
        from matplotlib import pyplot

        mpl.rcParams |= {"svg.hashsalt": "soak", "font.size": 9}
        figure, (memory, calls, delays) = pyplot.subplots(3, 1, sharex=True, figsize=(8, 7), layout="constrained")
        for name, colour in zip(sorted(self.samples[-1].memory), (BLUE, BROWN), strict=True):
            points = [(sample.minute, sample.memory.get(name)) for sample in self.samples]
            memory.plot(*zip(*points, strict=True), color=colour, label=name)
        memory.set(ylabel="memory (MiB)", ylim=(0, None))
        memory.legend(loc="lower right", frameon=False)

        pairs = list(zip(self.samples, self.samples[1:], strict=False))
        rates = [(b.minute, (b.calls - a.calls) / (b.minute - a.minute)) for a, b in pairs]
        calls.plot(*zip(*rates, strict=True), color=BLUE)
        calls.axhline(self.quota[0] * 60 / self.quota[1], color=BROWN, linestyle="--", label="quota")
        calls.set(ylabel="calls per minute", ylim=(0, None))
        calls.legend(loc="lower right", frameon=False)

        delays.plot(*zip(*self.delays, strict=True), ".", color=BLUE, markersize=2, rasterized=True)
        delays.set(ylabel="seconds until seen", xlabel="minutes", yscale="symlog", ylim=(0, None))
        delays.yaxis.set_major_formatter("{x:g}")
        for axes in (memory, calls, delays):
            for kill in self.kills:
                axes.axvline(kill, color=RED, linewidth=0.7)
            for outage in self.outages:
                axes.axvspan(*outage, color=RED, alpha=0.15)
        figure.suptitle("red lines: a triggerer killed; red areas: the service down", fontsize=9)
        figure.savefig(path, metadata={"Date": None})
