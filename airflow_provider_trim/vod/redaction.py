# SPDX-License-Identifier: Apache-2.0
"""Safe excerpts of untrusted text for log lines, errors and links: short, single-line, secrets masked.

A service that refuses a token may well repeat it, and Airflow masks neither exceptions nor XComs. A secret is found as
it is, in either case, and in the forms that HTTP software produces: percent-encoded and quoted-printable; escaped as in
JSON, Python or HTML; in hexadecimal; in base64 and base64url, alone or within a longer text such as ``user:secret``;
and each of these with line breaks in it. It is not found if it is hashed, compressed, encrypted, or encoded twice.
"""

from __future__ import annotations

import base64
import functools
import html
import re
from typing import Any

MAX_EXCERPT = 200
"""Characters of an excerpt."""

MIN_SECRET_LENGTH = 5
"""Characters from which a secret is masked, as in Airflow's own masking: shorter ones are part of any text."""

_MAX_SPELLED = 64
"""Characters of a secret that are searched in all their forms. Of a longer one, what follows them up to a space or a
quote is masked with them."""

_MAX_ESCAPED_LENGTH = 26
"""Upper bound on the length of one escaped character with a line break before it."""

_BREAK = r"(?:=?\s|\\{1,2}[rnt]){0,4}+"
_BREAKS_BEFORE = {
    " ": r"(?:=?[^\S ]|\\{1,2}[rnt]){0,4}+",
    "=": r"(?:=?\s|\\{1,2}[rnt]){0,4}",
    "\\": r"(?:=?\s){0,4}+",
}
"""Line breaks between two characters of a secret; before some, such that the character itself is left.

Nothing is matched in two ways, here and below. Otherwise a text that has all but the last character of a secret would
take twice as long for each character.
"""

_MASK = "***"


def excerpt(text: str, secret: str = "", limit: int = MAX_EXCERPT) -> str:
    """Return the beginning of an untrusted text as it may be shown.

    :param secret: of the connection, which is masked
    :param limit: characters
    """
    # Half a secret at the window's end would not be recognized, so the window's end is not shown.
    margin = _MAX_ESCAPED_LENGTH * min(len(secret), _MAX_SPELLED) + len(secret)
    window = 8 * limit + margin
    shown = redact(text[:window], secret)
    return truncate(shown if len(text) <= window else shown[: max(0, len(shown) - margin)], limit)


def truncate(text: str, limit: int = MAX_EXCERPT) -> str:
    """Cut a text off, and escape what breaks a line, commands a terminal, or reorders what is read (bidi marks)."""
    shown = text[:limit]
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in shown)
    return shown if len(text) <= limit and len(shown) <= limit else f"{shown[: limit - 1]}…"


def redact(text: str, secret: str) -> str:
    """Put ``***`` in the place of a secret. To be applied before a text is cut off: half a secret is not recognized."""
    return text if len(secret) < MIN_SECRET_LENGTH else _secret_pattern(secret).sub(_MASK, text)


def redact_json(value: Any, secret: str) -> Any:
    """Return a JSON value with a secret masked in its texts; the value itself where it contains none.

    A response is read far more often than it contains a secret, so here a secret is found in its plain form only.
    """
    if len(secret) < MIN_SECRET_LENGTH or not _contains(value, secret):
        return value
    return _masked(value, secret)


def _contains(value: Any, secret: str) -> bool:
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            if secret in part:
                return True
        elif isinstance(part, dict):
            todo.extend(part)
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return False


def _masked(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return redact(value, secret)
    if isinstance(value, list):
        return [_masked(part, secret) for part in value]
    if isinstance(value, dict):
        return {redact(name, secret): _masked(part, secret) for name, part in value.items()}
    return value


@functools.lru_cache(maxsize=256)
def _secret_pattern(secret: str) -> re.Pattern[str]:
    spelled = secret[:_MAX_SPELLED]
    rest = rf"(?:[^\s\"'<>]|\r?\n){{0,{8 * len(secret)}}}" if len(secret) > _MAX_SPELLED else ""
    encoded = spelled.encode("utf-8", "surrogatepass")
    forms = [_spelled_pattern(spelled), _BREAK.join(f"{byte:02x}" for byte in encoded)]
    forms += [f"{_base64_pattern(encoded, offset)}={{0,2}}" for offset in range(3)]
    return re.compile(f"(?:{'|'.join(forms)}){rest}", re.IGNORECASE)


def _base64_pattern(encoded: bytes, offset: int) -> str:
    """Match the base64 of bytes that begin at any multiple of three, plus ``offset``, of what is encoded.

    The characters at either end that hold bits of other bytes as well are matched whatever they are.
    """
    bits = 8 * (offset + len(encoded))
    text = base64.b64encode(bytes(offset) + encoded).decode()[-(-8 * offset // 6) : bits // 6]
    own = [{"+": r"[+-]", "/": r"[/_]"}.get(character, character) for character in text]
    shared = ["[0-9a-z+/_-]"]
    return _BREAK.join((shared if offset else []) + own + (shared if bits % 6 else []))


def _spelled_pattern(text: str) -> str:
    """Match a text as any writer may spell it, with line breaks in it."""
    parts: list[str] = []
    for backslashes, character in re.findall(r"(?s)(\\*)(.?)", text):
        forms = _character_forms(character) if character else [""]
        before = between = _BREAKS_BEFORE.get(character, _BREAK) if character else ""
        if backslashes:
            run = _run_pattern(len(backslashes))
            before = _BREAKS_BEFORE["\\"] if character.lower() in {"", "r", "n", "t"} else _BREAK
            forms = [f"(?>{run}{between}{form})" for form in forms]
        if backslashes or character:
            parts += [before if parts else "", f"(?:{'|'.join(forms)})"]
    return "".join(parts)


def _run_pattern(count: int) -> str:
    """Match a number of backslashes, all of which are written in the same way."""
    units = [(rf"\\{{{times}}}", _BREAKS_BEFORE["\\"]) for times in (4, 2, 1)]
    units += [(form, _BREAK) for form in (r"[%=]5c", r"\\{1,2}u005c", r"\\{1,2}x5c", r"&#(?:0{0,4}92|x0{0,4}5c);?")]
    return f"(?:{'|'.join(f'(?:{unit}{between}){{{count - 1}}}{unit}' for unit, between in units)})"


def _character_forms(character: str) -> list[str]:
    """Return patterns of a character as any writer may spell it: some escape more than they have to."""
    encoded = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    number = ord(character)
    forms = [
        # Quotes and slashes are escaped once or twice; before a letter, a backslash is something else.
        re.escape(character) if character.isalnum() else rf"\\{{0,3}}{re.escape(character)}",
        _BREAK.join(f"[%=]{byte:02x}" for byte in encoded),
        "".join(rf"\\{{1,2}}u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        "".join(rf"\\{{1,2}}x{byte:02x}" for byte in encoded),
        rf"&#(?:0{{0,4}}{number}|x0{{0,4}}{number:x});?",
    ]
    if (named := html.escape(character)) != character:
        forms.append(re.escape(named))
    if character == " ":
        forms.append(r"\+")
    return forms
