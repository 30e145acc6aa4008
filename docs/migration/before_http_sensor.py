# SPDX-License-Identifier: Apache-2.0
import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, PokeReturnValue
from airflow.providers.http.sensors.http import HttpSensor


def check(response):
    answer = response.json()
    data = answer.get("data") or {}
    if data.get("status") == 3 or answer["code"] in (1601, 1602, 1603):
        raise AirflowFailException(f"the trim has failed: {answer}")
    return PokeReturnValue(data.get("status") == 2, data.get("videoInfo"))


with DAG(
    "before_http_sensor",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"trans_no": "clip-1"},
) as dag:
    video_info = HttpSensor(
        task_id="video_info",
        http_conn_id="trim_http",
        endpoint="/vod/videoManage/videoClipQuery",
        method="POST",
        request_params={
            "userId": "{{ conn.trim_http.login }}",
            "token": "{{ conn.trim_http.password }}",
            "timeStamp": "{{ macros.datetime.now().timestamp() | int }}",
            "transNo": "{{ params.trans_no }}",
        },
        response_check=check,
        mode="reschedule",
        poke_interval=30,
        timeout=7200,
    )
