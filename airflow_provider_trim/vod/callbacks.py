# SPDX-License-Identifier: Apache-2.0
"""The address that the service calls when a trim is done, which is its own credential.

It is ``<callback_url>/<transNo>/<signature>``. The signature is an HMAC-SHA256 of the ``transNo`` in unpadded base64url
(RFC 4648, section 5), under a key derived from the connection's secret: the submitter and the listener need to
share nothing else, and an address reveals nothing about any other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import unquote

from airflow_provider_trim.vod.settings import TrimSettings

_LABEL = b"airflow-provider-trim callback 1\0"
"""Sets the key apart from whatever else the secret signs."""

_PLAIN = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]{1,32}"
"""A transNo that stays as it is on its way through URLs and proxies (RFC 3986, unreserved characters)."""

_TRANS_NO = re.compile(_PLAIN)
_CLAIM = re.compile(rf"/({_PLAIN})/([A-Za-z0-9_-]{{43}})/*(?:[?#&;].*)?\Z", re.DOTALL)
"""An address, whatever is appended to it: slashes, a query, the part of one."""

_MAX_ENCODED = 2
"""How often proxies may have percent-encoded an address, which has no character that needs it."""


class Claim(NamedTuple):
    """What an address claims; :func:`is_genuine` verifies it."""

    trans_no: str
    signature: str


def callback_key(settings: TrimSettings) -> bytes:
    """Return the key that signs a connection's callbacks."""
    secret = settings.password.get_secret_value().encode()
    return hmac.digest(secret, _LABEL + settings.account.encode(), hashlib.sha256)


def callback_address(settings: TrimSettings, trans_no: str) -> str | None:
    """Return the address that the service is to call when a trim is done.

    :returns: None where the connection has no callbacks, or ``trans_no`` holds what a proxy might spell differently
    """
    if settings.callback_url is None or settings.callback_socket is None or not _TRANS_NO.fullmatch(trans_no):
        return None
    return f"{settings.callback_url}/{trans_no}/{_sign(callback_key(settings), trans_no)}"


def read_claim(target: str) -> Claim | None:
    """Read what a request line names, whatever a proxy has done to the path before its last two segments.

    It may have been percent-encoded, and slashes or a query appended: the signature leaves no doubt what was meant.

    :param target: as it came over the wire, query included
    :returns: None where it has not the form of a callback's address
    """
    path = target.partition("#")[0].partition("?")[0]
    for _ in range(_MAX_ENCODED):
        if "%" not in path:
            break
        path = unquote(path, errors="replace")
    match = _CLAIM.search(path)
    return Claim(*match.groups()) if match else None


def is_genuine(claim: Claim, key: bytes) -> bool:
    """Return whether a claim was signed with a key; takes as long for one wrong signature as for another."""
    return hmac.compare_digest(_sign(key, claim.trans_no), claim.signature)


def _sign(key: bytes, trans_no: str) -> str:
    digest = hmac.digest(key, trans_no.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
