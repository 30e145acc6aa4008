# SPDX-License-Identifier: Apache-2.0
"""What was asked and answered, for tests to look at."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar


class Record(Protocol):
    """What a :class:`RecordLog` keeps."""

    @property
    def trans_no(self) -> str | None:
        """The ``transNo`` by which the record is found."""


RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, query or submission, as it came over the wire, and what it was answered.

    Which of both is told by ``path``: ``QUERY_PATH`` or ``SUBMIT_PATH``.

    ``time`` is when it arrived, in seconds of the emulator's clock. ``http_status`` is None where no answer was sent:
    the connection was reset, or the client left first. ``code`` is the envelope's code and ``trim_status`` the
    ``status`` of the trim, where the answer has them. ``connection`` numbers the connections from 1, ``peer_port`` is
    the client's port. ``fault`` is the name of the fault met, if any. What may hold a token stays out of ``repr()``.
    """

    time: float
    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    trans_no: str | None
    http_status: int | None
    code: int | None
    trim_status: int | None
    request_id: str
    connection: int
    peer_port: int
    fault: str | None


class RecordLog(Generic[RecordT]):
    """Records, in the order in which they were added. Safe to use from any thread.

    :param noun: what they are, in the plural, for messages
    :param record: False keeps none
    """

    def __init__(self, noun: str, record: bool) -> None:
        self.record = record
        self._noun = noun
        self._changed = threading.Condition()
        self._records: list[RecordT] = []
        self._by_trans_no: defaultdict[str | None, list[RecordT]] = defaultdict(list)

    def add(self, record: RecordT) -> None:
        """Keep a record, unless none are kept."""
        if not self.record:
            return
        with self._changed:
            self._records.append(record)
            self._by_trans_no[record.trans_no].append(record)
            self._changed.notify_all()

    def all(self, trans_no: str | None = None) -> list[RecordT]:
        """All records, or those for one ``transNo``, oldest first; a copy."""
        with self._changed:
            return list(self._select(trans_no))

    def clear(self) -> None:
        """Forget the records."""
        with self._changed:
            self._records.clear()
            self._by_trans_no.clear()

    def wait(self, count: int, timeout: float, trans_no: str | None = None) -> list[RecordT]:
        """Block until there are ``count`` records, and return them all.

        :raises RuntimeError: if nothing is recorded
        :raises TimeoutError: after ``timeout`` seconds
        """
        if not self.record:
            raise RuntimeError(f"{self._noun} are not recorded: record=False")
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._select(trans_no)) >= count, timeout):
                raise TimeoutError(f"{len(self._select(trans_no))} of {count} {self._noun} after {timeout} s")
            return list(self._select(trans_no))

    def _select(self, trans_no: str | None) -> list[RecordT]:
        if trans_no is None:
            return self._records
        return self._by_trans_no.get(trans_no, [])


class CallLog(RecordLog[Call]):
    """The calls so far. Safe to use from any thread.

    :param record: False only counts
    :param on_call: called with every call, in the server's thread, whether or not it is recorded
    """

    def __init__(self, record: bool, on_call: Callable[[Call], None] | None) -> None:
        super().__init__("calls", record)
        self.count = 0
        self._on_call = on_call

    def note(self, build: Callable[[], Call]) -> None:
        """Count a call and, where anyone wants it, build and keep its record."""
        call = build() if self.record or self._on_call else None
        with self._changed:
            self.count += 1
            if call is not None:
                self.add(call)
        if call is not None and self._on_call:
            self._on_call(call)

    def clear(self) -> None:
        """Forget the recorded calls and the count."""
        with self._changed:
            self.count = 0
            super().clear()
