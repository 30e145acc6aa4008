# SPDX-License-Identifier: Apache-2.0
"""Words of others in our messages: short, on one line, and without the connection's secret."""

from __future__ import annotations

import base64
import functools
import html
import re

MAX_EXCERPT = 200
"""Characters of a quote."""

MIN_SECRET_LENGTH = 5
"""Characters from which a secret is looked for, as in Airflow's own masking: shorter ones stand in any text."""


_MAX_ESCAPED_LENGTH = 18
"""Characters that a character may be spelled with, and a base64 of the whole is no longer."""


def excerpt(text: str, secret: str) -> str:
    """Return the beginning of another's text as it may be shown."""
    margin = _MAX_ESCAPED_LENGTH * len(secret)
    window = 8 * MAX_EXCERPT + margin
    shown = redact(text[:window], secret)
    # Half a secret at the end would not be known for one.
    return truncate(shown if len(text) <= window else shown[: len(shown) - margin])


def truncate(text: str) -> str:
    """Cut a text off, and spell out what would break its line or its terminal (a forged line in a log, say)."""
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text[:MAX_EXCERPT])
    return shown if len(text) <= MAX_EXCERPT and len(shown) <= MAX_EXCERPT else f"{shown[: MAX_EXCERPT - 1]}…"


def redact(text: str, secret: str) -> str:
    """Put *** in the place of a secret, as it is, percent-encoded, in JSON, Python or HTML, or in base64.

    A service that refuses a token may well repeat it, and Airflow masks neither exceptions nor XComs. To be applied
    before a text is cut off: half a secret is not known for one.
    """
    if len(secret) < MIN_SECRET_LENGTH:
        return text
    return _secret_pattern(secret).sub("***", text)


@functools.lru_cache(maxsize=8)
def _secret_pattern(secret: str) -> re.Pattern[str]:
    encoded = secret.encode("utf-8", "surrogatepass")
    base64_forms = {base64.b64encode(encoded).decode(), base64.urlsafe_b64encode(encoded).decode()}
    as_text = "".join(map(_character_pattern, secret))
    return re.compile("|".join((as_text, *sorted(map(re.escape, base64_forms)))))


def _character_pattern(character: str) -> str:
    """Match a character, each as another writer may spell it: some escape more than they have to."""
    encoded = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    forms = [
        # Quotes and slashes that are quoted once or twice.
        rf"\\{{0,3}}{re.escape(character)}",
        "(?i:" + "".join(f"%{byte:02x}" for byte in encoded) + ")",
        r"(?i:" + "".join(rf"\\{{1,2}}u{units[at : at + 4]}" for at in range(0, len(units), 4)) + ")",
        re.escape(html.escape(character)),
    ]
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(dict.fromkeys(forms))})"
