# SPDX-License-Identifier: Apache-2.0
"""What a DAG author writes for HttpEventTrigger, which imports this module again for every poll."""

from typing import Any


async def is_done(response: Any) -> bool:
    return response.json()["data"]["status"] != 1
