# SPDX-License-Identifier: Apache-2.0
"""All metrics: name, type, tags, and the values that a tag can have."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Types of metrics, as StatsD has them."""

    COUNTER = "counter"
    TIMER = "timer"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    For backends without tags, a metric with ``values`` is sent once more, with the value at the end of its name, as
    Airflow does with its own metrics.

    :param tags: in the order in which their values are given
    :param values: that the last tag can have
    :param unit: of its values
    :param combine: of a gauge: what those of two pollers of one account are together
    :param resets: the gauge is 0 when nothing waits any more
    """

    name: str
    kind: Kind
    tags: tuple[str, ...]
    values: tuple[str, ...] = ()
    unit: str = ""
    combine: Callable[[float, float], float] = operator.add
    resets: bool = True


class Outcome(StrEnum):
    """Outcomes of a request."""

    DONE = "done"
    PROCESSING = "processing"
    FAILED = "failed"
    ACCEPTED = "accepted"
    ADOPTED = "adopted"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NO_RESPONSE = "no_response"
    UNEXPECTED = "unexpected"


class End(StrEnum):
    """Outcomes of a wait."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"


class Reload(StrEnum):
    """Outcomes of loading a connection again."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"


class Ignored(StrEnum):
    """Why a connection to the callback listener brought no callback, in words."""

    PATH = "without a callback's path"
    SIGNATURE = "with a wrong signature"
    MALFORMED = "malformed"
    EMPTY = "without a request"
    SLOW = "too slow"
    DISPLACED = "displaced"
    DESCRIPTORS = "without a file descriptor"

    @property
    def tag(self) -> str:
        """The value of the tag ``reason``."""
        return self.name.lower()


_ERRORS = (
    Outcome.REJECTED,
    Outcome.UNAUTHORIZED,
    Outcome.RATE_LIMITED,
    Outcome.UNAVAILABLE,
    Outcome.NO_RESPONSE,
    Outcome.UNEXPECTED,
)

POLLS = Metric(
    "trim.polls",
    Kind.COUNTER,
    ("account", "outcome"),
    (Outcome.DONE, Outcome.PROCESSING, Outcome.FAILED, *_ERRORS),
)
POLL_DURATION = Metric("trim.poll.duration", Kind.TIMER, ("account",), unit="ms")
SUBMISSIONS = Metric(
    "trim.submissions", Kind.COUNTER, ("account", "outcome"), (Outcome.ACCEPTED, Outcome.ADOPTED, *_ERRORS)
)
WAITS_OPEN = Metric("trim.waits.open", Kind.GAUGE, ("account", "hostname"))
WAITS_ENDED = Metric("trim.waits.ended", Kind.COUNTER, ("account", "outcome"), tuple(End))
WAIT_DURATION = Metric("trim.wait.duration", Kind.TIMER, ("account",), unit="ms")
DETECTION_DELAY = Metric("trim.detection.delay", Kind.TIMER, ("account",), unit="ms")
QUOTA_USED = Metric("trim.quota.used", Kind.GAUGE, ("account", "hostname"), unit="calls", combine=max)
QUOTA_LIMIT = Metric("trim.quota.limit", Kind.GAUGE, ("account", "hostname"), unit="calls", combine=max, resets=False)
QUOTA_FALLBACK = Metric("trim.quota.fallback", Kind.GAUGE, ("account", "hostname"), combine=max)
FALLBACKS = Metric("trim.quota.fallbacks", Kind.COUNTER, ("account",))
COOLDOWNS = Metric("trim.cooldowns", Kind.COUNTER, ("account",))
CALLBACKS_RECEIVED = Metric("trim.callbacks.received", Kind.COUNTER, ("account",))
CALLBACKS_DUPLICATE = Metric("trim.callbacks.duplicate", Kind.COUNTER, ("account",))
CALLBACKS_MISSED = Metric("trim.callbacks.missed", Kind.COUNTER, ("account",))
CALLBACKS_REFUSED = Metric("trim.callbacks.refused", Kind.COUNTER, ("reason",), tuple(reason.tag for reason in Ignored))
RELOADS = Metric("trim.connection.reloads", Kind.COUNTER, ("account", "outcome"), tuple(Reload))

METRICS = {metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)}
"""All of these, by name."""
