# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG, the same to the byte for the same figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


def svg(draw: Callable[[Any], None]) -> bytes:
    """Return what a function draws on Matplotlib's axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "airflow-provider-trim"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    draw(axes)
    axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return picture.getvalue()


def label_delays(axes: Any, title: str) -> None:
    """Label delay against concurrency."""
    axes.set(
        yscale="log",
        xlabel="trims waiting at any time",
        ylabel="mean seconds until a finished trim is noticed",
        title=title,
    )
    axes.legend()
