# SPDX-License-Identifier: Apache-2.0
"""Values out of bytes, so that a fuzzer of bytes makes texts and JSON; and back, for its seeds."""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

EXAMPLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "interface-example.json").read_text(encoding="utf-8")
)
"""The example of the vendor's page "Get Trimming Task Status"."""

_TIMES = (100, 200, 5000)
"""How often a character may be repeated; the last is beyond the 4300 digits that Python makes an int of."""

# The first byte of a text: below 120 the length of what follows, and from 128 on the number of a word.
_LONGEST, _REPEAT, _JOIN, _WORD = 119, 120, 124, 128
_KINDS = ("null", "false", "true", "small", "digits", "float", "text", "list", "dict", "nested", "special")
_MANY_DIGITS = "many digits"
"""On the wire, an integer with one more digit than Python reads."""
_SPECIAL = (
    *(-1, 2**31, 2**63, 10**400, 10**4299, _MANY_DIGITS),
    *(float("inf"), float("-inf"), float("nan"), 0.5, -0.0, 1e300),
)


class Reader:
    """Reads values out of any bytes; beyond their end are zeros, which give the simplest ones.

    :param words: texts that count as one byte, at most 128
    """

    def __init__(self, data: bytes, words: Sequence[str] = ()) -> None:
        self._data = data
        self._at = 0
        self._words = words

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def byte(self) -> int:
        return next(iter(self.take(1)), 0)

    def number(self) -> int:
        """0 to 65535."""
        return int.from_bytes(self.take(2))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def real(self) -> float:
        return float(struct.unpack(">d", self.take(8).ljust(8, b"\0"))[0])

    def text(self, depth: int = 0) -> str:
        """Bytes that are no UTF-8 become lone surrogates, as aiohttp has them in headers."""
        kind = self.byte()
        if kind >= _WORD:
            return self._words[(kind - _WORD) % len(self._words)] if self._words else ""
        if kind >= _JOIN and depth < 3:
            return "".join(self.text(depth + 1) for _ in range(2 + (kind - _JOIN) * 2))
        if kind >= _REPEAT:
            return self.take(1).decode("latin-1") * self.pick(_TIMES)
        return self.take(kind).decode("utf-8", "surrogateescape")

    def json(self, depth: int = 0) -> Any:  # noqa: C901
        match self.pick(_KINDS):
            case "false":
                return False
            case "true":
                return True
            case "small":
                return self.byte()
            case "digits":
                text = self.text()[:4000]
                return int(text) if re.fullmatch("-?[0-9]+", text) else text
            case "float":
                return self.real()
            case "text":
                return self.text()
            case "list" if depth < 5:
                return [self.json(depth + 1) for _ in range(self.byte() % 6)]
            case "dict" if depth < 5:
                return {self.text(): self.json(depth + 1) for _ in range(self.byte() % 24)}
            case "nested":
                return nested(self.number() % 250)
            case "special":
                return self.pick(_SPECIAL)
            case _:
                return None

    def mutated(self, document: Any) -> Any:
        """The document with up to three of its values replaced, removed or wrapped."""
        for _ in range(self.byte() % 4):
            document = mutate(document, self.number(), self.byte(), self.json())
        return document


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def paths(document: Any, *path: Any) -> list[tuple[Any, ...]]:
    """Where in a document there are values, the whole of it first."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(document, dict):
        inner = document.items()
    elif isinstance(document, list):
        inner = enumerate(document)
    return [path, *(found for name, value in inner for found in paths(value, *path, name))]


def mutate(document: Any, where: int, how: int, value: Any) -> Any:
    """A document with one value replaced, removed, wrapped in a list, or with another one added."""
    places = paths(document)
    path = places[where % len(places)]
    if not path:
        return [document] if how % 16 == 2 else value if how % 16 == 0 else document
    changed = copy.deepcopy(document)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    match how % 5:
        case 0 | 1:
            holder[path[-1]] = value
        case 2:
            holder[path[-1]] = [holder[path[-1]]]
        case 3:
            del holder[path[-1]]
        case _ if isinstance(holder, dict):
            holder[value if isinstance(value, str) else "raw"] = value
        case _:
            holder.append(value)
    return changed


def to_json(value: Any, *, escaped: bool = False) -> bytes:
    """What may be sent for a value; with numbers, digits and half characters that Python writes but no one should."""
    text = json.dumps(value, ensure_ascii=escaped).replace(f'"{_MANY_DIGITS}"', "1" * 4301)
    return text.encode("utf-8", "surrogatepass")


def pack_text(text: str, words: Sequence[str] = ()) -> bytes:
    """What :meth:`Reader.text` reads as this text, of at most 119 bytes or a word."""
    if text in words:
        return bytes([_WORD + words.index(text)])
    raw = text.encode("utf-8", "surrogateescape")[:_LONGEST]
    return bytes([len(raw)]) + raw


def pack(value: Any, words: Sequence[str] = ()) -> bytes:
    """What :meth:`Reader.json` reads as this value."""

    def kind(name: str) -> bytes:
        return bytes([_KINDS.index(name)])

    if value is None or isinstance(value, bool):
        return kind({None: "null", False: "false", True: "true"}[value])
    if isinstance(value, int):
        return kind("small") + bytes([value]) if 0 <= value < 256 else kind("digits") + pack_text(str(value), words)
    if isinstance(value, float):
        return kind("float") + struct.pack(">d", value)
    if isinstance(value, str):
        return kind("text") + pack_text(value, words)
    if isinstance(value, Mapping):
        inner = b"".join(pack_text(name, words) + pack(item, words) for name, item in value.items())
        return kind("dict") + bytes([len(value)]) + inner
    return kind("list") + bytes([len(value)]) + b"".join(pack(item, words) for item in value)
