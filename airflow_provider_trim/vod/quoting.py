# SPDX-License-Identifier: Apache-2.0
"""Words of others in our messages: short, on one line, and without the connection's secret."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

LONGEST = 200
"""Characters of a quote."""

SHORTEST_SECRET = 5
"""Characters from which a secret is looked for, as in Airflow's own masking: shorter ones stand in any text."""


def shorten(text: str) -> str:
    """Cut a text off, and spell out what would break its line or its terminal (a forged line in a log, say)."""
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text[:LONGEST])
    return shown if len(text) <= LONGEST and len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def redact(text: str, secret: str) -> str:
    """Put *** in the place of a secret, as it is, percent-encoded, in JSON, or in base64.

    A service that refuses a token may well repeat it, and Airflow masks neither exceptions nor XComs.
    """
    if len(secret) < SHORTEST_SECRET:
        return text
    encoded = secret.encode("utf-8", "surrogatepass")
    forms = {
        secret,
        quote(encoded, safe=""),
        quote_plus(encoded),
        json.dumps(secret)[1:-1],
        base64.b64encode(encoded).decode(),
        base64.urlsafe_b64encode(encoded).decode(),
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
