# SPDX-License-Identifier: Apache-2.0
"""The address that the service calls: how one is made, and what is read out of one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.vod.callbacks import Claim, callback_address, callback_key, is_genuine, read_claim
from airflow_provider_trim.vod.settings import TrimSettings

BASE = "https://airflow.example.com/trims"
TRANS_NO = "036b6f4a01611000a79c3a7800000000"
SIGNATURE = "x" * 43


def settings(password: str = "s3cret", login: str = "me", host: str = "h.example", **extra: Any) -> TrimSettings:
    fields = {"callback_url": BASE, "callback_listen": "0.0.0.0:8790", **extra}
    return TrimSettings.from_connection(host=host, login=login, password=password, extra=fields)


def claim_of(address: str | None) -> Claim:
    assert address is not None
    claim = read_claim(address.removeprefix("https://airflow.example.com"))
    assert claim is not None
    return claim


def test_an_address_holds_base_trans_no_and_signature() -> None:
    """Pinned: a worker and a triggerer of two versions have to agree."""
    key = hmac.digest(b"s3cret", b"airflow-provider-trim callback 1\0h.example/me", hashlib.sha256)
    digest = hmac.digest(key, TRANS_NO.encode(), hashlib.sha256)
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert callback_address(settings(), TRANS_NO) == f"{BASE}/{TRANS_NO}/{signature}"


def test_address_does_not_hold_the_secret() -> None:
    assert "s3cret" not in str(callback_address(settings(), TRANS_NO))


@pytest.mark.parametrize("missing", [{"callback_url": None}, {"callback_listen": None}, {"password": ""}])
def test_no_address_without_a_url_a_listener_or_a_secret(missing: dict[str, Any]) -> None:
    assert callback_address(settings(**missing), TRANS_NO) is None


@pytest.mark.parametrize(
    "trans_no", ["", ".", "..", "a/b", "a b", "a%2F", "ü", "a?b", "a#b", "x" * 33, "a\n", "\ud800"]
)
def test_no_address_for_a_trans_no_that_a_proxy_might_spell_differently(trans_no: str) -> None:
    assert callback_address(settings(), trans_no) is None


@pytest.mark.parametrize("trans_no", ["a", "x" * 32, "a.b", "...", "_~-", "00"])
def test_address_of_any_other_trans_no_is_read_back_and_genuine(trans_no: str) -> None:
    claim = claim_of(callback_address(settings(), trans_no))
    assert claim.trans_no == trans_no
    assert is_genuine(claim, callback_key(settings()))


def test_address_is_genuine_for_its_own_trim_account_and_secret_only() -> None:
    claim = claim_of(callback_address(settings(), TRANS_NO))
    assert not is_genuine(claim._replace(trans_no="another"), callback_key(settings()))
    for other in (settings(password="s3cret2"), settings(login="you"), settings(host="other.example")):
        assert not is_genuine(claim, callback_key(other))


@given(st.integers(0, 42), st.sampled_from("abcXYZ019_-"))
def test_a_changed_character_makes_it_a_forgery(place: int, character: str) -> None:
    claim = claim_of(callback_address(settings(), TRANS_NO))
    changed = claim.signature[:place] + character + claim.signature[place + 1 :]
    assert is_genuine(claim._replace(signature=changed), callback_key(settings())) == (changed == claim.signature)


@pytest.mark.parametrize("before", ["", "/trims", "/a/b/c", "http://h:1", "/a//", "/%2e%2e/é"])
@pytest.mark.parametrize(
    "after", ["", "/", "//", "?status=2", "/?a=/b/c", "#x", "?", "&status=2", ";v=1", "%3Fa=b", "%2F"]
)
def test_only_the_last_two_segments_count(before: str, after: str) -> None:
    assert read_claim(f"{before}/{TRANS_NO}/{SIGNATURE}{after}") == Claim(TRANS_NO, SIGNATURE)


@given(st.data())
def test_percent_encoding_changes_nothing(data: st.DataObject) -> None:
    """Once, or a second time by the next proxy; the slashes as well."""
    target = f"/trims/{TRANS_NO}/{SIGNATURE}"
    for _ in range(data.draw(st.integers(1, 2))):
        forms = [
            st.sampled_from([c, f"%{ord(c):02X}", f"%{ord(c):02x}"]) if c != "%" else st.just("%25") for c in target
        ]
        target = "".join(data.draw(st.tuples(*forms)))
    assert read_claim(target) == Claim(TRANS_NO, SIGNATURE)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "*",
        f"/{SIGNATURE}",
        f"{TRANS_NO}/{SIGNATURE}",
        f"//{SIGNATURE}",
        f"/{TRANS_NO}/{SIGNATURE}/x",
        f"/{TRANS_NO}/{SIGNATURE}/x?a",
        f"/{TRANS_NO}/{SIGNATURE}x",
        f"/{TRANS_NO}/{SIGNATURE[1:]}",
        f"/{TRANS_NO}/{SIGNATURE[1:]}=",
        f"/{TRANS_NO}x/{SIGNATURE}",
        f"/../{SIGNATURE}",
        f"/./{SIGNATURE}",
        f"/a%2541/{SIGNATURE.replace('x', '%252525', 1)}",
        f"/a%/{SIGNATURE}",
        f"/%2E%2E/{SIGNATURE}",
        f"/a%FF/{SIGNATURE}",
        f"/{TRANS_NO}/{SIGNATURE}\n",
        f"/?/{TRANS_NO}/{SIGNATURE}",
    ],
)
def test_any_other_target_is_no_claim(target: str) -> None:
    assert read_claim(target) is None
