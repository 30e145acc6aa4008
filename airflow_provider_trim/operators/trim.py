# SPDX-License-Identifier: Apache-2.0
"""The operators: start trims, wait for them, and return the resulting videoInfo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowFailException, conf
from airflow_provider_trim.operators.idempotent_submit import SUBMISSION_FIELDS, TrimRequest, submit_once
from airflow_provider_trim.waiting import lazy
from airflow_provider_trim.waiting.mixin import TrimWaitingMixin
from airflow_provider_trim.waiting.options import (
    OnFailure,
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
    from airflow_provider_trim.polling.group import Verdicts
    from airflow_provider_trim.polling.verdicts import Verdict
    from airflow_provider_trim.vod.models import TrimTask
    from airflow_provider_trim.waiting.protocols import RunningTaskInstance
    from airflow_provider_trim.waiting.results import TrimResults
    from airflow_provider_trim.waiting.trans_nos import TransNos


class TrimVideoInfoOperator(TrimWaitingMixin):
    """Pushes ``videoInfo`` of a trim, or of several, to XCom, waiting for them if necessary.

    ``return_value`` is ``videoInfo`` as the service sent it; ``trans_no``, ``trim_task_id`` and ``video_id`` are pushed
    under those keys. Of several trims, each of the four is a list in the same order. What a response means is the same
    as for :class:`~airflow_provider_trim.sensors.trim.TrimTaskStatusSensor`.

    :param trans_no: under which the trim was submitted, at most 32 characters, or a list of such (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param wait_for_completion: wait for the trim; without it, an unfinished trim is an error
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poll_interval: minimum time between two polls of one trim, in seconds or as timedelta
    :param first_poll_after: seconds or timedelta before the first poll, for a trim that can't be finished yet
    :param timeout: seconds or timedelta for the whole wait; by default ``[sensors] default_timeout``
    :param max_consecutive_failures: polls in a row that may fail for a passing reason; None for any number
    :param on_failure: of several trims, ``"fail"`` fails at the first that fails, naming all that have; ``"collect"``
        waits for all, then fails with a table of what failed; ``"ignore"`` leaves None in the place of a failed one
    :raises ValueError: a number or ``on_failure`` is wrong, by its name
    """

    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        trans_no: str | Sequence[str],
        trim_conn_id: str = "trim_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        max_consecutive_failures: int | None = 10,
        on_failure: OnFailure = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trans_no = to_reusable(trans_no)
        self.trim_conn_id = trim_conn_id
        self.wait_for_completion = to_flag("wait_for_completion", wait_for_completion)
        self.deferrable = to_flag("deferrable", deferrable)
        self.poll_interval = to_seconds("poll_interval", poll_interval)
        self.first_poll_after = to_optional_seconds("first_poll_after", first_poll_after)
        self.timeout = to_timeout(timeout)
        self.max_consecutive_failures = to_failure_limit(max_consecutive_failures)
        self.on_failure = to_on_failure(on_failure)
        self._check_own_values()

    def execute(self, context: Context) -> Any:
        """Return ``videoInfo``, now or when the trim is done."""
        trans_nos = self._parse_trans_nos(self.trans_no)
        if self.wait_for_completion:
            return self._push(self._wait(trans_nos, self._wait_options(self.poll_interval)), context)
        with self._hook() as hook:
            return self._push(self._results(trans_nos, [self._poll_once(hook, name) for name in trans_nos]), context)

    def _poll_once(self, hook: TrimApiHook, trans_no: str) -> Verdict:
        try:
            task = hook.get_task(trans_no)
        except lazy.VideoProcessingError as error:
            unfinished = error
        except lazy.TrimError as error:
            return lazy.Failure(error, worth_retrying=error.retryable)
        else:
            if task.status is lazy.TrimStatus.SUCCESSFUL:
                return lazy.Success(task)
            unfinished = lazy.VideoProcessingError("", request_id=task.request_id)
        unfinished.message = f"trim {trans_no} is still processing; set wait_for_completion=True to wait"
        return lazy.Failure(unfinished, worth_retrying=True)


class TrimVideoOperator(TrimWaitingMixin):
    """Cuts a clip out of a video: submits a trim, waits for it, and returns ``videoInfo``.

    However often the task is tried, killed or cleared, one trim runs for it: ``trans_no`` is derived from the task
    instance and the parameters of the trim, and from the second try on the service is queried before anything is
    submitted. A trim that runs is adopted, one that is finished is returned, and one that has failed is followed by
    another, if retries are left. Other parameters are another trim.

    It submits from a worker only. Killing the task does not cancel the trim: the service has no such call.

    :param video_id: the video to trim (this and all other parameters of the trim are templated)
    :param seek_start: where the clip begins: seconds, a ``timedelta``, or "HH:MM:SS" with an optional fraction. The
        service cuts at whole seconds, so a clip is widened to hold all of what is wanted
    :param duration: how long it lasts, likewise
    :param filename: name of the output
    :param resolution: width x height in pixels, such as "640x480"
    :param frame_rate: Hz
    :param video_bit_rate: kbit/s
    :param audio_bit_rate: kbit/s
    :param sampling_rate: Hz; flv takes only 44100, 22050, 11025
    :param notify_url: address of your own that the service calls when the trim is done
    :param use_callback: have the service call the triggerer when the trim is done, where the connection has
        ``callback_listen`` and ``callback_url``, and no ``notify_url`` is given
    :param suffix: container, "flv" (the service's default) or "mp4"
    :param enable_video_transcode: transcode even where that is not needed
    :param trans_no: the caller's own id of the trim, at most 32 characters; by default derived from dag, task, run,
        map index and the parameters of the trim
    :param reuse_finished: return a trim that an earlier try has finished; False submits another one instead
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param wait_for_completion: wait for the trim; without it, ``trans_no`` is returned as soon as it is submitted
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poll_interval: minimum time between two polls, in seconds or as timedelta
    :param first_poll_after: seconds or timedelta between submission and the first poll; by default a twentieth of the
        clip's duration, at least 2 and at most 30 seconds
    :param timeout: seconds or timedelta for the whole wait; by default ``[sensors] default_timeout``
    :param max_consecutive_failures: polls in a row that may fail for a passing reason; None for any number
    :raises ValueError: a number of the wait is wrong, by its name
    """

    template_fields: Sequence[str] = (*SUBMISSION_FIELDS, "notify_url", "trans_no", "trim_conn_id")
    ui_color = "#f0e6f2"

    # Longer than other functions: each argument takes a line.
    def __init__(
        self,
        *,
        video_id: str,
        seek_start: float | str | timedelta,
        duration: float | str | timedelta,
        filename: str,
        resolution: str | None = None,
        frame_rate: int | str | None = None,
        video_bit_rate: int | str | None = None,
        audio_bit_rate: int | str | None = None,
        sampling_rate: int | str | None = None,
        notify_url: str | None = None,
        use_callback: bool = True,
        suffix: str | None = None,
        enable_video_transcode: bool | None = None,
        trans_no: str | None = None,
        reuse_finished: bool = True,
        trim_conn_id: str = "trim_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        max_consecutive_failures: int | None = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.video_id = video_id
        self.seek_start = seek_start
        self.duration = duration
        self.filename = filename
        self.resolution = resolution
        self.frame_rate = frame_rate
        self.video_bit_rate = video_bit_rate
        self.audio_bit_rate = audio_bit_rate
        self.sampling_rate = sampling_rate
        self.notify_url = notify_url
        self.use_callback = to_flag("use_callback", use_callback)
        self.suffix = suffix
        self.enable_video_transcode = enable_video_transcode
        self.trans_no = trans_no
        self.reuse_finished = to_flag("reuse_finished", reuse_finished)
        self.trim_conn_id = trim_conn_id
        self.wait_for_completion = to_flag("wait_for_completion", wait_for_completion)
        self.deferrable = to_flag("deferrable", deferrable)
        self.poll_interval = to_seconds("poll_interval", poll_interval)
        self.first_poll_after = to_optional_seconds("first_poll_after", first_poll_after)
        self.timeout = to_timeout(timeout)
        self.max_consecutive_failures = to_failure_limit(max_consecutive_failures)
        self._check_own_values()

    def execute(self, context: Context) -> Any:
        """Return ``videoInfo`` when the trim is done, or ``trans_no`` at once if it does not wait."""
        trans_no, task, expects_callback = self._submit(context["ti"])
        if not self.wait_for_completion:
            self._xcom_push({"trans_no": trans_no}, context)
            self._annotate_outlets({"trans_no": trans_no}, context)
            return trans_no
        trans_nos = self._parse_trans_nos(trans_no)
        if task is not None:
            self.log.info("Trim %s was already finished by an earlier attempt", lazy.truncate(trans_no))
            return self._push(lazy.TrimResults(trans_nos, [task]), context)
        clip_seconds = lazy.as_seconds(lazy.required("duration", self.duration))
        if self.first_poll_after is None:
            self.first_poll_after = min(30.0, max(2.0, clip_seconds / 20))
        options = self._wait_options(self.poll_interval)
        if expects_callback:
            options = dataclasses.replace(options, expects_callback=True)
        return self._push(self._wait(trans_nos, options, clip_seconds=clip_seconds), context)

    def on_kill(self) -> None:
        """Say that the trim goes on."""
        self.log.warning("Task killed. The trim keeps running: the API has no cancel call")

    def _source_video_ids(self) -> Sequence[str]:
        return (str(self.video_id),)

    def _submit(self, ti: RunningTaskInstance) -> tuple[str, TrimTask | None, bool]:
        """Submit, adopt or find the trim of this task instance.

        :returns: its transNo, the trim if it is done already, and whether the service will call the triggerer
        :raises AirflowFailException: what the service or the check refuses, and a retry can't change
        """
        own_notify_url: str | None = lazy.optional(self.notify_url)

        def notify_url_of(trans_no: str) -> str | None:
            if own_notify_url or not self.use_callback:
                return own_notify_url
            return lazy.callback_address(hook.settings, trans_no)

        with self._hook(quota_timeout=self._time_limit()) as hook:
            try:
                arguments = {name: getattr(self, name) for name in SUBMISSION_FIELDS}
                request = TrimRequest.read(ti, arguments, self.trans_no)
                trans_no, task = submit_once(
                    hook,
                    request,
                    query_first=ti.try_number > 1,
                    reuse_finished=self.reuse_finished,
                    notify_url_of=notify_url_of,
                )
                # One that is adopted was submitted by an earlier try, but a transNo of one's own may be anybody's.
                ours = request.derived or ti.try_number == 1
                expects_callback = ours and not own_notify_url and notify_url_of(trans_no) is not None
            except lazy.TrimError as error:
                if error.retryable:
                    raise
                raise AirflowFailException(str(error)) from error
            if self.use_callback and not own_notify_url and (note := lazy.callback_note(hook.settings)):
                self.log.warning("No callback: %s", note)
        if task is None:
            self.log.info("Trim %s of video %s is running", lazy.truncate(trans_no), lazy.truncate(str(self.video_id)))
        return trans_no, task, expects_callback

    def _results(self, trans_nos: TransNos, verdicts: Verdicts) -> TrimResults:
        """Return the finished trim; one that has failed is worth a retry, which submits the next."""
        for verdict in verdicts:
            error = verdict.error if isinstance(verdict, lazy.Failure) else None
            if isinstance(error, lazy.TrimTaskFailedError) and lazy.optional(self.trans_no) is None:
                raise error
        return super()._results(trans_nos, verdicts)
