# SPDX-License-Identifier: Apache-2.0
"""How long the trims of one account take: of all, and of each kind. Pure: times are passed in.

Trims of one kind are expected to take about as long, such as those of one DAG task. The model of a kind begins as that
of all trims, worth two of them: what is known of the account counts until more is known of the kind.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from airflow_provider_trim.polling.duration_model import DurationModel

MAX_KINDS = 64
"""Kinds that are distinguished; the least recently used one is forgotten for another."""

MAX_DUMP = 32_000
"""Characters of what is passed on to other processes, at most; the most recently used kinds come first."""

MAX_KIND_LENGTH = 600
"""Characters of a kind's name; longer ones are not distinguished."""


class AccountDurations:
    """What is known of an account's trims.

    Pollers in several threads may share it: if two observations come at once, one may be lost.
    """

    def __init__(self) -> None:
        self.all = DurationModel()
        """Of trims of any kind."""
        self._kinds: dict[str, DurationModel] = {}  # the most recently used last

    def of(self, kind: str | None) -> DurationModel:
        """Return the model of a kind; of all trims where it is None."""
        if kind is None or len(kind) > MAX_KIND_LENGTH:
            return self.all
        model = self._kinds.pop(kind, None) or DurationModel(general=self.all)
        self._kinds[kind] = model
        if len(self._kinds) > MAX_KINDS:
            self._kinds.pop(next(iter(list(self._kinds))), None)
        return model

    def dump(self) -> str:
        """Return what is known as text, for :meth:`load`."""
        kinds: dict[str, list[float]] = {}
        text = '{"all": , "kinds": {}}' + json.dumps(overall := self.all.dump())
        left = MAX_DUMP - len(text)
        for kind, model in reversed(list(self._kinds.items())):
            left -= len(json.dumps({kind: (values := model.dump())})) + 2
            if left < 0:
                break
            kinds[kind] = values
        return json.dumps({"all": overall, "kinds": kinds})

    def load(self, text: str | bytes) -> bool:
        """Take over what other processes know better, and return whether the text could be read."""
        try:
            read = json.loads(text)
            overall, kinds = _numbers(read["all"]), {str(kind): _numbers(read["kinds"][kind]) for kind in read["kinds"]}
        # Whatever it is that another version or program wrote, RecursionError included.
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return False
        if not self.all.load(overall):
            return False
        for kind, values in reversed(list(itertools.islice(kinds.items(), MAX_KINDS))):
            model = self.of(kind)
            if model is not self.all and len(values) > 2 and values[2] > model.finished:
                model.load(values)
        return True


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]
