# SPDX-License-Identifier: Apache-2.0
"""What the worlds of the containment tests find by name: an authentication scheme, and a secrets backend."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from airflow_provider_trim.vod import schemes
from tests.support.containment import AsyncRedis, Faults


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the authentication scheme ``faulty``."""
    folder = tmp_path_factory.mktemp("scheme")
    info = folder / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{schemes.GROUP}]\nfaulty = tests.support.containment:sign\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        schemes._entry_points.cache_clear()
        yield
    schemes._entry_points.cache_clear()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Airflow load connections from the backend that can fail."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.support.faulty_secrets.FaultySecrets")
    # Airflow keeps backends for as long as its process lives.
    monkeypatch.setattr("airflow.sdk.configuration._secrets_backend_cache", {}, raising=False)


@pytest.fixture
def faults(scheme: None, monkeypatch: pytest.MonkeyPatch) -> Faults:
    monkeypatch.setattr("redis.asyncio.Redis", AsyncRedis)
    monkeypatch.setattr(AsyncRedis, "open", 0)
    return Faults()


@pytest.fixture
def world_faults(faults: Faults) -> type[Faults]:
    """What makes the faults of one world after another."""
    return Faults
