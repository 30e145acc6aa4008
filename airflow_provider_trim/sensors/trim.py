# SPDX-License-Identifier: Apache-2.0
"""The sensor: waits until a trim has finished, in poke, reschedule or deferrable mode."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_trim.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow_provider_trim.sensors.airflow2 import first_reschedule_start
from airflow_provider_trim.sensors.start_from_trigger import (
    StartTriggerArgsWhenRead,
    check_end_from_trigger,
    check_without_workers,
    is_mapped_instance,
)
from airflow_provider_trim.waiting import lazy
from airflow_provider_trim.waiting.mixin import DEFERRAL_TIMED_OUT, TRIGGER_FAILED, TRIGGER_TIMED_OUT, TrimWaitingMixin
from airflow_provider_trim.waiting.options import (
    SENSOR_FLAGS,
    OnFailure,
    check_arguments,
    to_failure_limit,
    to_flag,
    to_on_failure,
    to_optional_seconds,
    to_reusable,
    to_seconds,
    to_timeout,
)

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Context
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.group import WaitGroup
    from airflow_provider_trim.polling.sync import SyncPoller
    from airflow_provider_trim.waiting.results import TrimResults
    from airflow_provider_trim.waiting.trans_nos import TransNos


class _Poking(NamedTuple):
    """What poke and reschedule mode keep, in one process, from one poke to the next."""

    trans_nos: TransNos
    group: WaitGroup
    hook: TrimApiHook
    poller: SyncPoller


class TrimTaskStatusSensor(TrimWaitingMixin, BaseSensorOperator):
    """Waits until a trim has finished, or several have.

    Its XCom ``return_value`` is ``videoInfo`` as received; of several trims, a list in the order of ``trans_no``.

    ====================================================== ==========================================================
    response                                               outcome
    ====================================================== ==========================================================
    status 1, or code 1560                                 keep waiting
    status 2                                               success
    status 3; codes 1601, 1602, 1603; an unknown status    fail at once, no retries; ``soft_fail`` makes it a skip
    or code
    authentication refused, or code 1301                   reload the connection and poll again, with growing delays:
                                                           once if these credentials were never accepted, else
                                                           ``max_consecutive_failures`` times; retries apply
    HTTP 429                                               keep waiting, the whole account slower; no failure
    HTTP 5xx, no response, one that is not as documented   keep waiting; fail at the ``max_consecutive_failures``-th
    or can't be stored                                     in a row, retries apply
    ``timeout`` reached                                    a last poll, then ``AirflowSensorTimeout``
    ====================================================== ==========================================================

    In reschedule mode every poll has a process of its own, so failures in a row are not counted across polls; the
    ``timeout`` bounds them. Killing the task does not cancel the trim: the service has no such call.

    :param trans_no: under which the trim was submitted, at most 32 characters, or a list of such (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poke_interval: minimum time between two polls of one trim, in seconds or as timedelta; 10 s by default,
        because the account's quota protects the service
    :param timeout: seconds or timedelta for the whole wait; by default ``[sensors] default_timeout``. A shorter
        ``execution_timeout`` bounds the whole wait in every mode, and ends it as ``AirflowTaskTimeout``; retries apply
    :param max_wait: seconds or timedelta at which ``exponential_backoff`` ends, or None
    :param first_poll_after: seconds or timedelta before the first poll, for a trim that can't be finished yet
    :param max_consecutive_failures: polls in a row that may fail for a passing reason; None for any number
    :param on_failure: of several trims, ``"fail"`` fails at the first that fails, naming all that have; ``"collect"``
        waits for all, then fails with a table of what failed; ``"ignore"`` leaves None in the place of a failed one
    :param start_from_trigger: begin to wait in the triggerer, without a worker; implies ``deferrable``. On Airflow 2
        arguments can't be templates then. Mapped tasks begin in a worker all the same
    :param finish_in_triggerer: end there too where the trim was successful, without a worker; implies ``deferrable``.
        There are no asset events, OpenLineage facets and listeners then; success callbacks, ``post_execute`` and
        ``multiple_outputs`` are refused
    :raises ValueError: a number or ``on_failure`` is wrong, by its name, or something can't be done without a worker
    """

    start_trigger_args = StartTriggerArgsWhenRead()

    _started: float | None = None
    _poking: _Poking | None = None

    def __init__(
        self,
        *,
        trans_no: str | Sequence[str],
        trim_conn_id: str = "trim_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float | None = None,
        max_wait: timedelta | float | None = None,
        first_poll_after: timedelta | float | None = None,
        max_consecutive_failures: int | None = 10,
        on_failure: OnFailure = "fail",
        start_from_trigger: bool = False,
        finish_in_triggerer: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=to_seconds("poke_interval", poke_interval),
            timeout=to_timeout(timeout),
            max_wait=to_optional_seconds("max_wait", max_wait),
            **kwargs,
        )
        self.trans_no = to_reusable(trans_no)
        self.trim_conn_id = trim_conn_id
        self.start_from_trigger = to_flag("start_from_trigger", start_from_trigger)
        self.finish_in_triggerer = to_flag("finish_in_triggerer", finish_in_triggerer)
        self.deferrable = to_flag("deferrable", deferrable) or self.start_from_trigger or self.finish_in_triggerer
        self.first_poll_after = to_optional_seconds("first_poll_after", first_poll_after)
        limit = to_failure_limit(max_consecutive_failures)
        self.max_consecutive_failures = None if self.silent_fail else limit
        self.on_failure = to_on_failure(on_failure)
        check_arguments({name: getattr(self, name) for name in SENSOR_FLAGS})
        self._check_own_values()
        self._check_without_workers()
        _ = self.start_trigger_args  # what can't be a trigger's argument is an error now

    @classmethod
    def _check_mapped(cls, arguments: Mapping[str, Any]) -> None:
        super()._check_mapped(arguments)
        if arguments.get("mode", "poke") not in cls.valid_modes:
            modes = " or ".join(map(repr, cls.valid_modes))
            raise ValueError(f"mode must be {modes}, not {arguments['mode']!r}; deferrable=True is the third")
        if arguments.get("soft_fail") and arguments.get("never_fail"):
            raise ValueError("soft_fail cannot be combined with never_fail; remove one of them")
        if arguments.get("finish_in_triggerer"):
            check_end_from_trigger({**arguments, **dict.fromkeys(cls._overridden(), True)})

    @classmethod
    def _overridden(cls) -> set[str]:
        """Return the names that a subclass has put in the place of this class's own."""
        return {name for kind in cls.__mro__[: cls.__mro__.index(TrimTaskStatusSensor)] for name in vars(kind)}

    def _check_without_workers(self) -> None:
        starts = self.start_from_trigger and not is_mapped_instance(self)
        check_without_workers(self, self._overridden(), starts=starts, finishes=self.finish_in_triggerer)

    def _finishes_in_triggerer(self) -> bool:
        """Return whether no worker needs to end the task; a cluster policy may have given it a callback, say."""
        try:
            self._check_without_workers()
        except ValueError:
            return False
        return self.finish_in_triggerer

    def execute(self, context: Context) -> Any:
        """Wait, in the task's mode, and return ``videoInfo``."""
        if self.deferrable:
            with self._apply_soft_fail():
                return self._execute_deferrable(context)
        self._started = time.time()
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            if self._poking is None or self._poking.group.finished:
                raise
            # Airflow's own clock has run out, between two polls; it knows neither what they showed nor on_failure.
            trans_nos, group, _, poller = self._poking
            poller.expire(group)
            return self._return(self._results(trans_nos, group.verdicts), context)
        finally:
            if self._poking is not None:
                self._poking.hook.close()
                self._poking = None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once every trim that is due."""
        if self._poking is None:
            self._poking = self._begin_to_poke(context)
        trans_nos, group, hook, poller = self._poking
        try:
            if self.reschedule:
                # Nothing counts failed polls there, and a mistyped trim_conn_id must not last until the timeout.
                hook.require_connection()
                poller.poll_in_order(group)  # since this process forgets what it has seen
            else:
                poller.poll_due(group)
        except Exception:
            for _, state in group.pending():
                state.skip_poll(time.monotonic())  # silent_fail has Airflow go on
            raise
        if not group.finished:
            return False
        return PokeReturnValue(True, self._return(self._results(trans_nos, group.verdicts), context))

    def _begin_to_poke(self, context: Context) -> _Poking:
        trans_nos = self._parse_trans_nos(self.trans_no)
        options = self._wait_options(self.poke_interval, self._started_at(context))
        group = lazy.WaitGroup.begin(trans_nos, options, stop_at_failure=self.on_failure == "fail")
        hook = self._hook()
        return _Poking(trans_nos, group, hook, lazy.SyncPoller(hook, self.log, metrics=hook.metrics))

    def execute_complete(self, context: Context, event: Any = None, trans_no: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        with self._apply_soft_fail():
            return self._return(self._results_from_event(event, trans_no), context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume: a deferral that timed out is a sensor's timeout, and a crashed trigger no skip for ``soft_fail``.

        Airflow 3 makes such a skip of it, and Airflow 2.11 no timeout of the other.
        """
        if next_method != TRIGGER_FAILED:
            return super().resume_execution(next_method, next_kwargs, context)
        with self._apply_soft_fail():
            if (next_kwargs or {}).get("error") == TRIGGER_TIMED_OUT:
                raise self._timeout_error(DEFERRAL_TIMED_OUT)
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _execute_deferrable(self, context: Context) -> Any:
        options = dataclasses.replace(self._wait_options(self.poke_interval), **self._backoff())
        trans_nos = self._parse_trans_nos(self.trans_no)
        return self._return(self._wait(trans_nos, options, finish=self._finishes_in_triggerer()), context)

    def _backoff(self) -> dict[str, Any]:
        """Return how the interval of a deferred wait grows, as options of the wait and arguments of the trigger."""
        return {
            "exponential_backoff": self.exponential_backoff,
            "max_interval": to_optional_seconds("max_wait", self.max_wait),
        }

    def _return(self, results: TrimResults, context: Context) -> Any:
        self._publish(results, context)
        return results.video_info()

    @contextlib.contextmanager
    def _apply_soft_fail(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` as Airflow's own loop does around :meth:`poke`."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped because of soft_fail or never_fail: {error}") from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped because of never_fail: {error}") from error
            raise

    def _started_at(self, context: Context) -> float | None:
        """Return when the wait began, in Unix seconds; of a wait in reschedule mode, an earlier process may have."""
        if not self.reschedule:
            return self._started
        ti: Any = context["ti"]
        if hasattr(ti, "get_first_reschedule_date"):
            started = ti.get_first_reschedule_date(context)
        else:
            started = first_reschedule_start(self, ti)
        return started.timestamp() if isinstance(started, datetime.datetime) else self._started

    def _get_next_poke_interval(self, started_at: Any, run_duration: Callable[[], float], poke_count: int) -> float:
        """Return the seconds until the next poll, which is at the timeout at the latest."""
        now = time.monotonic()
        due: list[float] = []
        if self._poking is not None:
            states = [state for _, state in self._poking.group.pending()]
            if self.reschedule:
                due = [state.next_poll_at for state in states[:1]]  # only the first was polled
            else:
                due = [self._poking.poller.due_at(state, now) for state in states]
        # Nothing is pending if the result could not be pushed, and silent_fail has Airflow go on.
        pause = min(due, default=now + self.poke_interval) - now
        if self.exponential_backoff:
            pause = max(pause, super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return max(0.0, min(pause, self._time_limit() - run_duration()))
