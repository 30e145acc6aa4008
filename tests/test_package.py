# SPDX-License-Identifier: Apache-2.0
"""The wheel, built and installed into an environment in which the checkout is not."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USE_IT = """
import importlib.metadata, runpy, sys
import airflow_provider_trim
from airflow.providers_manager import ProvidersManager

assert airflow_provider_trim.__file__.startswith(sys.prefix), airflow_provider_trim.__file__
info = ProvidersManager().providers["airflow-provider-trim"]
assert info.version == airflow_provider_trim.__version__ == importlib.metadata.version("airflow-provider-trim")
hook = ProvidersManager().hooks["trim"]
assert hook.hook_class_name == "airflow_provider_trim.hooks.trim.TrimApiHook"
print(runpy.run_path(sys.argv[1])["dag"].task_ids)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (built,) = folder.glob("airflow_provider_trim-*.whl")
    return built


def test_wheel_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "airflow_provider_trim/py.typed" in names
    assert "airflow_provider_trim/emulator/__main__.py" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"airflow_provider_trim"}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "airflow_provider_trim").rglob("*")
        if path.suffix in (".py", ".typed")
    }
    assert {name for name in names if ".dist-info/" not in name} == source
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_installed_wheel_works(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are this environment's; the package is the wheel's."""
    environment = tmp_path / "venv"
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (own,) = {path for path in sys.path if path.startswith(sys.prefix) and path.endswith("site-packages")}
    (site / "dependencies.pth").write_text(own)
    python = environment / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=600)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [str(python), "-c", USE_IT, str(ROOT / "example_dags" / "example_trim_wait.py")],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "pick_best_rendition" in done.stdout
    assert (environment / "bin" / "trim-emulator").exists()
