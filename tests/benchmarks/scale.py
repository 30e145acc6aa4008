# SPDX-License-Identifier: Apache-2.0
"""What breaks first: waits in one event loop, long lists, accounts, callbacks, and processes that share a quota."""

from __future__ import annotations

import scale_callbacks
import scale_loops
import scale_processes
from report import Report


def benchmark(quick: bool = False) -> Report:
    """Measure each of them."""
    parts = [part.report(quick) for part in (scale_loops, scale_processes, scale_callbacks)]
    text = "\n\n".join(part.text.strip() for part in parts)
    plots = {name: plot for part in parts for name, plot in part.plots.items()}
    return Report("Scale", text, [bar for part in parts for bar in part.bars], plots)


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
