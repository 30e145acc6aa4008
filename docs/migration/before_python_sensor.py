# SPDX-License-Identifier: Apache-2.0
import time

import pendulum
import requests
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseHook, PokeReturnValue, task

with DAG(
    "before_python_sensor",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"trans_no": "clip-1"},
) as dag:

    @task.sensor(mode="reschedule", poke_interval=30, timeout=7200)
    def video_info(params):
        connection = BaseHook.get_connection("trim_http")
        response = requests.post(
            f"{connection.schema}://{connection.host}:{connection.port}/vod/videoManage/videoClipQuery",
            data={
                "userId": connection.login,
                "token": connection.password,
                "timeStamp": int(time.time()),
                "transNo": params["trans_no"],
            },
            timeout=30,
        )
        response.raise_for_status()
        answer = response.json()
        data = answer.get("data") or {}
        if data.get("status") == 3 or answer["code"] in (1601, 1602, 1603):
            raise AirflowFailException(f"the trim has failed: {answer}")
        return PokeReturnValue(is_done=data.get("status") == 2, xcom_value=data.get("videoInfo"))

    video_info()
