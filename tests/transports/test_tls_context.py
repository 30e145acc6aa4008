# SPDX-License-Identifier: Apache-2.0
"""TLS settings are shared by all connections that trust the same certificate authorities."""

from __future__ import annotations

import gc
import shutil
import ssl
from pathlib import Path

import certifi
import pytest

from airflow_provider_trim.transports.network import tls_context
from airflow_provider_trim.vod.settings import TrimSettings


def context_of(login: str, verify: bool | str = True) -> ssl.SSLContext:
    settings = TrimSettings.from_connection(host="https://h", login=login, password="p", extra={"verify": verify})
    context = tls_context(settings, None)
    assert context is not None
    return context


def test_two_hundred_accounts_have_one() -> None:
    """Each took half a mebibyte, and 20 ms of the event loop."""
    contexts = [context_of(str(number)) for number in range(200)]
    assert len({id(context) for context in contexts}) == 1
    assert contexts[0].verify_mode is ssl.CERT_REQUIRED
    assert contexts[0].check_hostname


def test_other_authorities_and_none_are_apart(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    verified, unverified, own = context_of("a"), context_of("a", False), context_of("a", str(file))
    assert len({id(verified), id(unverified), id(own)}) == 3
    assert unverified.verify_mode is ssl.CERT_NONE
    assert {verified.verify_mode, own.verify_mode} == {ssl.CERT_REQUIRED}
    assert context_of("b", False) is unverified


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    pem = Path(certifi.where()).read_text(encoding="utf-8").split("-----END CERTIFICATE-----\n")
    found = []
    for part in pem[:2]:
        file.write_text(f"{part}-----END CERTIFICATE-----\n", encoding="utf-8")
        found.append(context_of("a", str(file)))
    assert found[0] is not found[1]
    assert found[0].get_ca_certs() != found[1].get_ca_certs()


@pytest.mark.usefixtures("no_old_garbage")
def test_what_no_connection_uses_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    marked = context_of("a", str(file))
    marked.mark = True  # type: ignore[attr-defined]
    del marked
    gc.collect()
    assert not hasattr(context_of("a", str(file)), "mark")
