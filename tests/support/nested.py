# SPDX-License-Identifier: Apache-2.0
"""A run of pytest within a test, in the same process."""

from __future__ import annotations

import pytest


def run_nested(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run a project's tests. The browser tests' plugin, where it is installed, can't be active twice."""
    return project.runpytest_inprocess("-p", "no:playwright", *arguments)
