# SPDX-License-Identifier: Apache-2.0
"""Links between the project's files lead somewhere, on a code host as well as in the built documentation."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.pages import PAGES, anchors, links, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_local_links(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in ("http", "https", "mailto"), link
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert target.exists(), f"{link}: there is no such file"
        if parts.fragment:
            assert parts.fragment in anchors(target), f"{link}: {name_of(target)} has no such heading"
