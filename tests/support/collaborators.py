# SPDX-License-Identifier: Apache-2.0
"""The table of collaborators: what it means for the waits that a collaborator fails, in each way and at each moment.

Every cell is a test, or says why it can't occur.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.containment import Collaborator, Kind


class Moment(enum.Enum):
    """From when on a collaborator fails, in seconds."""

    START = ("at the start", 0.0)
    MIDDLE = ("in the middle", 100.0)
    DEADLINE = ("at the deadline", 595.0)

    def __init__(self, title: str, at: float) -> None:
        self.title = title
        self.at = at


class Scope(enum.Enum):
    """Which waits a failing collaborator can affect; all others go on undisturbed."""

    WAIT = "the wait of one trim"
    CONNECTION = "the waits of its connection"
    PROCESS = "all waits"


@dataclass(frozen=True)
class Outcome:
    """What becomes of the waits that can be affected.

    :param says: what the cause of their failure names; empty where they go on
    :param slower: seconds by which they may end later than others
    """

    says: str = ""
    slower: float = 0.0

    def __str__(self) -> str:
        if self.says:
            return f"fails: “{self.says}”"
        return f"goes on, up to {self.slower:.0f} s late" if self.slower else "goes on"


@dataclass(frozen=True)
class Impossible:
    """A cell that can't be tested.

    :param reason: why
    """

    reason: str

    def __str__(self) -> str:
        return f"not tested: {self.reason}"


Cell = Outcome | Impossible

GOES_ON = Outcome()
IN_LOOP = Impossible("it runs in the event loop, where nothing can interrupt it; Airflow logs that the loop is blocked")
NO_RESULT = Impossible("what it returns is not used")


@dataclass(frozen=True)
class Row:
    """A collaborator's row.

    :param cells: by what is wrong with it, one for all moments, or one for each
    """

    collaborator: Collaborator
    scope: Scope
    cells: dict[Kind, Cell | tuple[Cell, Cell, Cell]]

    def cell(self, kind: Kind, moment: Moment) -> Cell:
        cell = self.cells[kind]
        return cell[list(Moment).index(moment)] if isinstance(cell, tuple) else cell


def _at_start(outcome: Cell, later: Cell = GOES_ON) -> tuple[Cell, Cell, Cell]:
    return (outcome, later, later)


_LOAD = "the connection could not be loaded"
_CALL = "the call failed unexpectedly"
_FALLBACK = Outcome(slower=60.0)
"""A tenth of the quota, evenly spaced: a call each 10 s, for the six trims of the connection."""

ROWS = (
    Row(
        Collaborator.LOADER,
        Scope.CONNECTION,
        {
            Kind.RAISES: _at_start(Outcome(f"{_LOAD}: LookupError")),
            Kind.HANGS: _at_start(Outcome(f"{_LOAD} within 30 s")),
            Kind.SLOW: GOES_ON,
            Kind.NONSENSE: _at_start(Outcome(f"{_LOAD}: ")),
        },
    ),
    Row(
        Collaborator.SECRETS,
        Scope.CONNECTION,
        {
            # Airflow tries the next backend, and says that none has it.
            Kind.RAISES: _at_start(Outcome("there is no connection 'a'")),
            Kind.HANGS: _at_start(Outcome(f"{_LOAD} within 30 s")),
            Kind.SLOW: GOES_ON,
            Kind.NONSENSE: _at_start(Outcome("there is no connection 'a'")),
        },
    ),
    Row(Collaborator.WINDOW, Scope.CONNECTION, dict.fromkeys(Kind, _FALLBACK)),
    Row(Collaborator.SHARE, Scope.CONNECTION, dict.fromkeys(Kind, GOES_ON)),
    Row(Collaborator.KNOWLEDGE, Scope.CONNECTION, dict.fromkeys(Kind, GOES_ON)),
    Row(Collaborator.RELAY, Scope.CONNECTION, dict.fromkeys(Kind, GOES_ON)),
    Row(Collaborator.LISTENER, Scope.CONNECTION, dict.fromkeys(Kind, GOES_ON)),
    Row(
        Collaborator.TRANSPORT,
        Scope.WAIT,
        {
            Kind.RAISES: Outcome(f"{_CALL}: LookupError"),
            Kind.HANGS: Outcome("the call did not end within 35 s"),
            Kind.SLOW: Outcome(slower=40.0),
            Kind.NONSENSE: Outcome(_CALL),
        },
    ),
    Row(Collaborator.CLOSING, Scope.CONNECTION, {**dict.fromkeys(Kind, GOES_ON), Kind.NONSENSE: NO_RESULT}),
    Row(
        Collaborator.SIGNER,
        Scope.WAIT,
        {
            Kind.RAISES: Outcome("authentication scheme 'faulty' failed: LookupError"),
            Kind.HANGS: IN_LOOP,
            Kind.SLOW: GOES_ON,
            Kind.NONSENSE: Outcome("authentication scheme 'faulty' must return a Request"),
        },
    ),
    Row(
        Collaborator.SIGNATURES,
        Scope.CONNECTION,
        # A Redis that hangs serves no permits either.
        {Kind.RAISES: _FALLBACK, Kind.HANGS: _FALLBACK, Kind.SLOW: _FALLBACK, Kind.NONSENSE: _FALLBACK},
    ),
    Row(Collaborator.POLICY, Scope.CONNECTION, {**dict.fromkeys(Kind, GOES_ON), Kind.HANGS: IN_LOOP}),
    Row(
        Collaborator.HANDLER,
        Scope.WAIT,
        {
            Kind.RAISES: GOES_ON,
            Kind.HANGS: IN_LOOP,
            Kind.SLOW: GOES_ON,
            Kind.NONSENSE: NO_RESULT,
        },
    ),
    Row(
        Collaborator.LOG,
        Scope.PROCESS,
        {Kind.RAISES: GOES_ON, Kind.HANGS: IN_LOOP, Kind.SLOW: GOES_ON, Kind.NONSENSE: NO_RESULT},
    ),
    Row(
        Collaborator.EVENT,
        Scope.WAIT,
        {
            Kind.RAISES: GOES_ON,
            Kind.HANGS: Outcome(slower=30.0),
            Kind.SLOW: Outcome(slower=30.0),
            Kind.NONSENSE: NO_RESULT,
        },
    ),
    # It runs in a thread of its own, for which nothing waits.
    Row(Collaborator.METRICS, Scope.PROCESS, {**dict.fromkeys(Kind, GOES_ON), Kind.NONSENSE: NO_RESULT}),
)


def outcomes() -> Iterator[tuple[Row, Kind, Moment, Outcome]]:
    """Return the cells that are tests."""
    for row in ROWS:
        for kind in Kind:
            for moment in Moment:
                cell = row.cell(kind, moment)
                if isinstance(cell, Outcome):
                    yield row, kind, moment, cell
