# SPDX-License-Identifier: Apache-2.0
"""Imports point down: Airflow's folders → waiting → polling, callbacks, client, ratelimit → transports → vod. The
emulator imports none of them, and pytest's plugin imports the emulator only.

Imports are read from the source, those within functions and ``if TYPE_CHECKING:`` as well.
"""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_trim

PACKAGE = "airflow_provider_trim"
ROOT = Path(airflow_provider_trim.__file__).parent
MODULES = {
    ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(
        path.read_bytes()
    )
    for path in sorted(ROOT.rglob("*.py"))
}

AIRFLOW = ("cli", "hooks", "sensors", "operators", "triggers", "waiting", "links")
CORE = ("polling", "callbacks", "client", "ratelimit", "transports", "vod")
LAYERS = {
    "vod": {"vod"},
    "transports": {"transports", "vod"},
    "metrics": {"logs", "metrics"},
    "ratelimit": {"logs", "metrics", "ratelimit", "vod"},
    "client": {"client", "logs", "metrics", "ratelimit", "supervision", "transports", "vod"},
    "callbacks": {"callbacks", "logs", "metrics", "supervision", "vod"},
    "polling": {*CORE, "logs", "metrics", "supervision"},
    "supervision": {"logs"},
    "logs": set(),
    "output": set(),
    "emulator": {"emulator"},
    "pytest_plugin": {"emulator"},
    "get_provider_info": set(),
    "compat": {"compat"},
    "ui": {"compat"},
    **{name: {*AIRFLOW, *CORE, "compat", "get_provider_info", "metrics", "output"} for name in AIRFLOW},
}
"""Which folder may import which; all may import the package's root, which holds the version."""

IO_AND_CLOCK = {
    "aiohttp",
    "asyncio",
    "httpx",
    "logging",
    "os",
    "pathlib",
    "requests",
    "socket",
    "ssl",
    "subprocess",
} | {
    "random",
    "threading",
    "time",
    "urllib3",
}


def imports(tree: ast.AST, *, at_import_only: bool = False) -> Iterator[str]:
    """Full names of the modules that ``tree`` imports, the package's own down to the module."""
    nodes = ast.walk(tree) if not at_import_only else executed_at_import(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def executed_at_import(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from executed_at_import(node)


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def own(names: Iterator[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == PACKAGE}


def foreign(names: Iterator[str]) -> set[str]:
    return {name.split(".")[0] for name in names} - {PACKAGE, "__future__"}


def test_every_module_has_its_place() -> None:
    assert {layer(module) for module in MODULES} - {""} <= LAYERS.keys()
    assert {"vod", "transports", "polling", "emulator", "hooks", "sensors"} <= {layer(module) for module in MODULES}
    for name in own(name for tree in MODULES.values() for name in imports(tree)):
        assert name in MODULES


def test_imports_point_down() -> None:
    upwards = [
        f"{module} imports {name}"
        for module, tree in MODULES.items()
        for name in own(imports(tree))
        if layer(name) and layer(name) not in LAYERS.get(layer(module), set())
    ]
    assert not upwards


def test_only_airflows_folders_import_airflow() -> None:
    others = {module: tree for module, tree in MODULES.items() if layer(module) not in (*AIRFLOW, "compat")}
    assert not [module for module, tree in others.items() if "airflow" in foreign(imports(tree))]


def test_what_common_compat_may_lack_is_imported_by_way_of_our_own() -> None:
    direct = [
        f"{module} imports {name}"
        for module, tree in MODULES.items()
        if layer(module) in AIRFLOW
        for name in imports(tree)
        if name.startswith("airflow.providers.common.compat")
        and name != "airflow.providers.common.compat.openlineage.facet"
    ]
    assert not direct


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) == "vod"])
def test_vod_does_no_io_and_reads_no_clock(module: str) -> None:
    assert not foreign(imports(MODULES[module])) & IO_AND_CLOCK
    called = {ast.unparse(node.func).split(".")[-1] for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)}
    assert not called & {"now", "utcnow", "today", "open", "print", "sleep", "getenv"}


def test_no_handler_of_a_log_can_end_what_logs() -> None:
    """The core runs in a triggerer, where handlers are Airflow's and its users'."""
    calls = [
        f"{module} calls {ast.unparse(node.func)}"
        for module, tree in MODULES.items()
        if layer(module) in CORE
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("logging.getLogger", "getLogger")
    ]
    assert not calls


def test_provider_info_imports_the_standard_library_only() -> None:
    """Airflow reads it at every start."""
    assert foreign(imports(MODULES[f"{PACKAGE}.get_provider_info"])) <= {"typing"} | sys.stdlib_module_names
    assert not own(imports(MODULES[f"{PACKAGE}.get_provider_info"]))
    assert not set(imports(MODULES[PACKAGE]))


def test_the_pytest_plugin_imports_pytest_only() -> None:
    """It is part of every pytest session where the package is installed."""
    at_import = list(imports(MODULES[f"{PACKAGE}.pytest_plugin"], at_import_only=True))
    assert foreign(iter(at_import)) <= {"pytest"} | sys.stdlib_module_names
    assert not own(iter(at_import))


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) in ("sensors", "operators")])
def test_a_dag_file_loads_no_http_client(module: str) -> None:
    """Such modules are imported whenever a DAG file is parsed."""
    reached, todo = {module}, [module]
    while todo:
        for name in imports(MODULES[todo.pop()], at_import_only=True):
            if name not in reached:
                reached.add(name)
                todo += [name] if name in MODULES else []
    assert not {name.split(".")[0] for name in reached} & {"aiohttp", "requests", "urllib3", "pydantic", "limits"}
    assert not {layer(name) for name in own(iter(reached))} & {*CORE, "emulator"}


def test_no_import_cycles() -> None:
    """Within functions or not: a cycle is two modules that are one."""
    graph = {module: own(imports(tree)) - {module} for module, tree in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them
