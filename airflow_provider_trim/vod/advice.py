# SPDX-License-Identifier: Apache-2.0
"""What is probably wrong with a connection that is valid, for messages about what follows from it."""

from __future__ import annotations

from airflow_provider_trim.vod.settings import TrimSettings


def credentials_note(settings: TrimSettings) -> str:
    """Return what to change about login or password, if they were refused; "" if nothing seems wrong.

    Not an error by itself: a gateway in front of the service may add credentials.
    """
    for name, text in (("login", settings.login), ("password", settings.password.get_secret_value())):
        if not text:
            return f"the connection has no {name}; set it"
        if text != text.strip():
            return f"the connection's {name} has spaces around it; remove them"
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
            return f"the connection's {name} is in quotes; remove them"
    return ""


def callback_note(settings: TrimSettings) -> str:
    """Return what is missing for callbacks, if an extra asks for them; "" if nothing is, or none asks."""
    extras = {"callback_listen": settings.callback_listen, "callback_url": settings.callback_url}
    given = [name for name, value in extras.items() if value is not None]
    missing = [name for name, value in extras.items() if value is None]
    if not given:
        return ""
    if not missing and not settings.password.get_secret_value():
        missing = ["password"]
    return f"{given[0]} has no effect without {missing[0]}; set both for callbacks, or neither" if missing else ""
