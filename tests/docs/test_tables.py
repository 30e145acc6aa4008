# SPDX-License-Identifier: Apache-2.0
"""The pages have the tables of today; to write them again: ``python -m tests.support.tables``."""

from __future__ import annotations

import pytest

from tests.support.tables import DOCS, TABLES, with_table


@pytest.mark.parametrize("name", TABLES)
def test_page_has_the_table(name: str) -> None:
    page = (DOCS / TABLES[name][0]).read_text(encoding="utf-8")
    assert with_table(page, name) == page
