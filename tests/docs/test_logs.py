# SPDX-License-Identifier: Apache-2.0
"""The page of log lines has those of the code, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.pages import ROOT

PACKAGE = ROOT / "airflow_provider_trim"
PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
LEVELS = {"info", "warning"}
"""Of the page; "exception" reports a fault of the package, and "debug" is for those who read its code."""
ON_THE_PAGE_OF_CALLBACKS = "…"
"""Lines that are all data: the counters of callbacks."""


def code() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "emulator" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def lines_of(module: ast.Module) -> Iterator[str]:
    texts = {
        target.id: node.value.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not (node.func.attr in LEVELS or node.func.attr == "log"):
            continue
        for argument in node.args[:2]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
            elif isinstance(argument, ast.Name) and argument.id in texts:
                yield texts[argument.id]


def test_lines() -> None:
    of_code = {re.sub(r"(%\.?\d*[sdgf])+", "…", line) for module in code() for line in lines_of(module)}
    of_page = set(re.findall(r"^\| (?:INFO|WARNING) \| `(.+?)` \|", PAGE, flags=re.MULTILINE))
    assert of_page == of_code - {ON_THE_PAGE_OF_CALLBACKS}
