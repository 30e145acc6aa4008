# SPDX-License-Identifier: Apache-2.0
"""What docs/security.md promises, tests show."""

from __future__ import annotations

import ast
import re

from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "airflow_provider_trim"
ACTORS = (
    *("DAG author", "connection editor", "network", "the service", "Redis", "another DAG in the triggerer"),
    *("reader of logs", "reader of the database", "reader of XComs", "reader of metrics"),
)
METRIC_CALLS = ("incr", "decr", "gauge", "timing", "timer")


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    missing = []
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}:
            missing.append(f"{path}::{name}")
    assert not missing
    for path in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path


def test_each_actor_has_a_row() -> None:
    section = PAGE.partition("## Who can do what")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    assert {row[0] for row in rows} >= set(ACTORS)
    for *_, measure, test in rows[2:]:
        assert test.startswith("`tests/") or measure.startswith("nothing"), measure


def test_no_metric_is_named_by_a_value() -> None:
    """So no transNo, text of the service or secret gets into one."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METRIC_CALLS:
                assert node.args
                assert isinstance(node.args[0], ast.Constant | ast.Name | ast.Attribute), f"{path}:{node.lineno}"
