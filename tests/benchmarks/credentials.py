# SPDX-License-Identifier: Apache-2.0
"""A gateway that refuses credentials while 500 trims are waited for: what that costs, in simulated time.

Prints a table: ``python -m tests.benchmarks.credentials`` (a minute or two).
"""

from __future__ import annotations

import logging
import math
import random

from tests.support.credentials_simulation import Burst, simulate

CASES = [
    *((quota, seconds, True) for quota in ("300/5 minutes", "off") for seconds in (2.5, 60.0, math.inf)),
    ("300/5 minutes", math.inf, False),
]


COLUMNS = (
    "quota",
    "refused for",
    "accepted before",
    "waits failed",
    "after",
    "calls refused",
    "most in a second, after the first",
    "reloads",
    "next call after",
)


def row(quota: str, seconds: float, accepted: bool, burst: Burst) -> str:
    cells = (
        quota,
        "for good" if math.isinf(seconds) else f"{seconds:g} s",
        "yes" if accepted else "no",
        f"{burst.failures.total()} of {burst.waits}",
        "" if math.isinf(burst.failed_after) else f"{burst.failed_after:.0f} s",
        f"{burst.refused_calls}",
        f"{burst.most_per_second}",
        f"{burst.reloads}",
        "" if math.isinf(burst.recovered_after) else f"{burst.recovered_after:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    logging.disable(logging.WARNING)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for quota, seconds, accepted in CASES:
        random.seed(1)
        print(row(quota, seconds, accepted, simulate(seconds, quota=quota, accepted=accepted)), flush=True)


if __name__ == "__main__":
    main()
