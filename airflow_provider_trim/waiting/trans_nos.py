# SPDX-License-Identifier: Apache-2.0
"""The transNos of a task: one or several, distinguished once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from airflow_provider_trim.waiting import rendered

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class TransNos:
    """What a task waits for.

    :param names: the transNos in the order given; one may occur more than once
    :param is_list: whether the task's argument was a list, so that its result is one too
    """

    names: tuple[str, ...]
    is_list: bool = False

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read an operator's or a trigger's argument, as a template has rendered it.

        :raises TransNoEmptyError, TransNoIllegalError: the service can't know such a transNo
        """
        return cls(*rendered.trans_nos(value))

    @property
    def argument(self) -> str | list[str]:
        """The plain JSON value that :meth:`parse` reads back."""
        return list(self.names) if self.is_list else self.names[0]

    def shape(self, values: Sequence[_Value]) -> _Value | list[_Value]:
        """Return what belongs to each transNo as the task's result: a list, or the only one.

        :param values: in the order of the transNos
        """
        return list(values) if self.is_list else values[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
