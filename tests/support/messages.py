# SPDX-License-Identifier: Apache-2.0
"""Every message of an error that a user can see: ``python -m tests.support.messages`` lists them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "airflow_provider_trim"
NOT_OURS = ("emulator", "pytest_plugin.py", "compat")
"""The emulator's errors are for tests, and compat's for releases of Airflow that are not supported."""

RAISES = re.compile(r"(Error|Exception|Timeout|^error|^_error|^_of_peer)$")
"""Names of what takes a message: errors, and functions that make them."""
INTERNAL = ("RuntimeError", "AttributeError", "ImportError", "OSError", "StorageUnavailableError")
"""What only this package's own code sees."""
MIN_PHRASE = 10
"""Characters; less is what joins parts, each of which is a message of its own."""
HIDDEN = dict.fromkeys(("triggers/payload.py", "polling/schedule.py", "polling/account_durations.py"), "ValueError")
"""By file, errors that are caught there, and shown by their type at most."""
RETURNS = {"_conflict", "_error_message", "_host_hint", "_unsupported_reason"} | {
    "_why_never_rendered",
    "_why_not_rendered",
    "_faults",
    "_faults_of_methods",
}
"""Functions that return a part of a message, or yield one."""


@dataclass(frozen=True)
class Message:
    """A message, or a part of one.

    :param where: file and line
    :param text: with what is filled in as ``{…}``
    """

    where: str
    text: str

    @property
    def phrases(self) -> list[str]:
        """What is always the same of it, cut at punctuation: what a reader may search for."""
        parts = (part.strip(" ,)'") for part in re.split(r"\{…\}|[:;(.?]", self.text))
        return [part for part in parts if len(part) >= MIN_PHRASE]


def messages() -> list[Message]:
    """Return all of them, by file and line."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if not set(name.parts) & set(NOT_OURS):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for line, text in sorted(set(_of(tree, HIDDEN.get(str(name), "")))):
                found.append(Message(f"{name}:{line}", text))
    return found


def _of(tree: ast.Module, hidden: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if RAISES.search(name) and name not in (*INTERNAL, hidden):
                values = [_assigned(tree, value, node.lineno) for value in node.args]
        elif isinstance(node, ast.FunctionDef) and node.name in RETURNS:
            values = [part.value for part in ast.walk(node) if isinstance(part, ast.Return | ast.Yield) and part.value]
        yield from ((value.lineno, text) for value in values if " " in (text := _text(value)))


def _assigned(tree: ast.Module, value: ast.expr, line: int) -> ast.expr:
    """Return what a variable was last set to above a line, or the value itself."""
    if not isinstance(value, ast.Name):
        return value
    for node in sorted(
        (node for node in ast.walk(tree) if isinstance(node, ast.Assign)), key=lambda node: -node.lineno
    ):
        if node.lineno < line and ast.unparse(node.targets[0]) == value.id:
            return node.value
    return value


def _text(value: ast.expr) -> str:
    """Return a text with its fields as ``{…}``, "" for what is none."""
    match value:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "{…}" for part in parts)
        case ast.BinOp(left, ast.Add(), right):
            return _text(left) + _text(right)
        case ast.IfExp(_, body, orelse):
            return max(_text(body), _text(orelse), key=len)
    return ""


if __name__ == "__main__":
    for message in messages():
        print(message.where, message.text, sep="\t")
