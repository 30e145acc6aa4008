# SPDX-License-Identifier: Apache-2.0
"""The wheel, built and installed into an environment in which the checkout is not."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, anchors, links, name_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESSES: dict[str, str] = PROJECT["urls"]

USE_IT = """
import importlib.metadata, runpy, sys
import airflow_provider_trim
from airflow.providers_manager import ProvidersManager

assert airflow_provider_trim.__file__.startswith(sys.prefix), airflow_provider_trim.__file__
info = ProvidersManager().providers["airflow-provider-trim"]
assert info.version == airflow_provider_trim.__version__ == importlib.metadata.version("airflow-provider-trim")
hook = ProvidersManager().hooks["trim"]
assert hook.hook_class_name == "airflow_provider_trim.hooks.trim.TrimApiHook"
# Where the page Providers links to; Airflow before 3.3 makes an address up.
assert info.data.get("documentation-url", sys.argv[2]) == sys.argv[2], info.data
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
    assert {"airflow_provider_trim/emulator/__main__.py", "airflow_provider_trim/ui/static/index.html"} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"airflow_provider_trim"}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "airflow_provider_trim").rglob("*")
        if path.suffix in (".py", ".typed") or path.parent.name == "static"
    }
    assert {name for name in names if ".dist-info/" not in name} == source
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(archive.read(name).decode())


def test_the_metadata_has_the_projects_addresses(metadata: email.message.Message) -> None:
    assert {"Documentation", "Source", "Changelog", "Issues"} <= ADDRESSES.keys()
    shown = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL", []))
    assert shown == ADDRESSES
    assert metadata["Author"] == PROJECT["authors"][0]["name"]


def in_checkout(address: str, version: str) -> tuple[Path, str] | None:
    """The file that one of the project's addresses shows, and what it names of it; None for anybody else's."""
    page, _, fragment = address.partition("#")
    documentation, source = ADDRESSES["Documentation"], ADDRESSES["Source"]
    if page.startswith(documentation):
        return ROOT / "docs" / page.removeprefix(documentation).replace(".html", ".md"), fragment
    for kind in ("blob", "raw"):
        if page.startswith(prefix := f"{source}/{kind}/v{version}/"):
            return ROOT / page.removeprefix(prefix), fragment
    return None


def test_the_links_of_the_index_page_lead_somewhere(metadata: email.message.Message, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(str(metadata.get_payload()), encoding="utf-8")
    relative = [link for link in links(ROOT / "README.md") if "://" not in link]
    absolute = links(page)
    assert [link for link in absolute if not link.startswith("https://")] == []
    ours = [found for link in absolute if (found := in_checkout(link, metadata["Version"]))]
    assert len(ours) == len(relative)
    for file, fragment in ours:
        assert file.exists(), file
        assert not fragment or fragment in anchors(file), f"{name_of(file)} has no heading {fragment}"


CONFIGURATION = [ROOT / "pyproject.toml", ROOT / "docs" / "conf.py", *(ROOT / ".github").rglob("*.yml")]


@pytest.mark.parametrize("file", [*PAGES, *CONFIGURATION], ids=name_of)
def test_the_project_has_one_address(file: Path) -> None:
    """Wherever else a file names the project's home, it is that of pyproject.toml."""
    for address in re.findall(r"https://[\w./-]*airflow-provider-trim[\w./-]*", file.read_text(encoding="utf-8")):
        assert address.startswith((ADDRESSES["Documentation"], ADDRESSES["Source"])), address


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
        [str(python), "-c", USE_IT, str(ROOT / "example_dags" / "example_trim_wait.py"), ADDRESSES["Documentation"]],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "pick_best_rendition" in done.stdout
    assert (environment / "bin" / "trim-emulator").exists()
