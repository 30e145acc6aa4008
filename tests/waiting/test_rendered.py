# SPDX-License-Identifier: Apache-2.0
"""What templates, native rendering and XComs leave of an argument is read as a person means it."""

from __future__ import annotations

import enum
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import ChainableUndefined, DebugUndefined, StrictUndefined, Undefined

from airflow_provider_trim.vod.errors import TransNoEmptyError, TransNoIllegalError, TrimError, TrimParameterError
from airflow_provider_trim.waiting import rendered
from airflow_provider_trim.waiting.trans_nos import TransNos


class Number(int):
    """As numpy's integers are: no ``int``'s own type, but an integer."""


class Member(str, enum.Enum):  # noqa: UP042 - its str() differs
    """Whose ``str()`` is its name."""

    ONE = "T"


class Text(str):
    """As ``numpy.str_`` or an enumeration's member is."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("T", ["T"]),
        (123, ["123"]),
        (Number(7), ["7"]),
        (Text("T"), ["T"]),
        (Member.ONE, ["T"]),
        ("[x]", ["[x]"]),
        ("{{", ["{{"]),
        ("None of them", ["None of them"]),
        ("-1", ["-1"]),
    ],
    ids=repr,
)
def test_one(value: Any, names: list[str]) -> None:
    trans_nos = TransNos.parse(value)
    assert (list(trans_nos), trans_nos.is_list) == (names, False)
    assert all(type(name) is str for name in trans_nos)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["a", "b"], ["a", "b"]),
        (("a", 7), ["a", "7"]),
        ([], []),
        pytest.param({"b", "a"}, None, id="set"),
        pytest.param((name for name in "ab"), ["a", "b"], id="generator"),
        (["a", "a"], ["a", "a"]),
        ("['a', 'b']", ["a", "b"]),
        (' ["a", "b"] ', ["a", "b"]),
        ("('a', 'b')", ["a", "b"]),
        ("{'b', 'a'}", ["a", "b"]),
        ("[1, 'b']", ["1", "b"]),
        ("[]", []),
        (str([f"{n:032}" for n in range(3)]), [f"{n:032}" for n in range(3)]),
    ],
)
def test_several(value: Any, names: list[str] | None) -> None:
    trans_nos = TransNos.parse(value)
    assert trans_nos.is_list
    assert sorted(trans_nos) == ["a", "b"] if names is None else list(trans_nos) == names
    assert TransNos.parse(trans_nos.argument) == trans_nos


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (None, TransNoEmptyError, "trans_no is empty"),
        ("", TransNoEmptyError, "trans_no is empty"),
        ("None", TransNoEmptyError, r"trans_no is the text 'None', .*check what the template refers to"),
        (["a", None], TransNoEmptyError, r"trans_no\[1\] is empty"),
        ("['a', None]", TransNoEmptyError, r"trans_no\[1\] is empty"),
        ("[null]", TransNoEmptyError, r"trans_no\[0\] is empty"),
        (["None"], TransNoEmptyError, r"trans_no\[0\] is the text 'None'"),
        (True, TransNoIllegalError, r"not bool \(True\); native rendering"),
        (12.5, TransNoIllegalError, r"not float \(12\.5\); native rendering"),
        (Decimal("1"), TransNoIllegalError, "not float"),
        (Decimal("sNaN"), TransNoIllegalError, "trans_no must be a string, not Decimal"),
        (Fraction(10**400), TransNoIllegalError, "trans_no must be a string, not Fraction"),
        (["a", False], TransNoIllegalError, r"trans_no\[1\] must be a string, not bool"),
        (b"T", TransNoIllegalError, "not bytes"),
        (bytearray(b"T"), TransNoIllegalError, "not bytearray"),
        ({"videoId": "V"}, TransNoIllegalError, "name its field that is one"),
        ("{'videoId': 'V'}", TransNoIllegalError, "name its field that is one"),
        ([["a"]], TransNoIllegalError, r"trans_no\[0\] must be a string, not list"),
        ("x" * 33, TransNoIllegalError, "trans_no has 33 characters"),
        (["a", "x" * 33], TransNoIllegalError, r"trans_no\[1\] has 33 characters"),
        (10**40, TransNoIllegalError, "trans_no must be a string, not int"),
        ("a\0b", TransNoIllegalError, "trans_no must not contain the character NUL"),
        ("\ud800", TransNoIllegalError, "trans_no must not contain an unpaired surrogate"),
        ("[" * 100_000 + "]" * 100_000, TransNoIllegalError, "trans_no has 200000 characters"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_can_be_none_is_refused_and_says_what_to_do(value: Any, kind: type[TrimError], words: str) -> None:
    with pytest.raises(kind, match=words):
        TransNos.parse(value)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.text() | st.integers()))
def test_any_value_is_read_or_refused(value: Any) -> None:
    try:
        trans_nos = TransNos.parse(value)
    except (TransNoEmptyError, TransNoIllegalError):
        return
    assert TransNos.parse(trans_nos.argument) == trans_nos


@pytest.mark.parametrize("kind", [Undefined, StrictUndefined, ChainableUndefined, DebugUndefined])
def test_what_native_rendering_leaves_of_a_name_that_is_not_there(kind: type[Undefined]) -> None:
    """An object that can be iterated over as if it were an empty list, or raises an error at each use."""
    words = r" is undefined \('nope'\); check what the template refers to"
    value = kind(name="nope")
    with pytest.raises(TransNoEmptyError, match=f"^trans_no{words}; it must be the transNo"):
        TransNos.parse(value)
    with pytest.raises(TransNoEmptyError, match=rf"^trans_no\[1\]{words}"):
        TransNos.parse(["a", value])
    with pytest.raises(TrimParameterError, match=f"^video_id:{words}$"):
        rendered.required("video_id", value)
    with pytest.raises(TrimParameterError, match=f"^trim_conn_id:{words}$"):
        rendered.connection_id(value)
    with pytest.raises(TransNoEmptyError, match=r"^trans_no is undefined; check"):
        TransNos.parse(kind())
    assert rendered.optional(value) is None


def test_what_may_be_left_out() -> None:
    assert [rendered.optional(value) for value in (None, "", "None")] == [None] * 3
    assert [rendered.optional(value) for value in (0, False, "x", Number(7), Decimal("2.5"))] == [0, False, "x", 7, 2.5]


@pytest.mark.parametrize(("value", "words"), [(None, "is empty"), ("", "is empty"), ("None", "is the text 'None'")])
def test_what_must_be_there(value: Any, words: str) -> None:
    with pytest.raises(TrimParameterError, match=f"^video_id: {words}"):
        rendered.required("video_id", value)
    assert rendered.required("video_id", 7) == 7


@pytest.mark.parametrize(
    ("value", "conn_id"), [("trim_other", "trim_other"), (7, "7"), (Number(7), "7"), (Member.ONE, "T")]
)
def test_the_connections_id(value: Any, conn_id: str) -> None:
    assert rendered.connection_id(value) == conn_id


@pytest.mark.parametrize("value", [None, "", "None", ["a"], True, 1.5, {"a": 1}, Decimal("sNaN")], ids=repr)
def test_what_is_no_connections_id(value: Any) -> None:
    with pytest.raises(TrimParameterError, match=r"^trim_conn_id: (is |must be the id of a connection, .*, not )"):
        rendered.connection_id(value)


def test_a_number_of_more_digits_than_python_writes_is_no_connections_id() -> None:
    with pytest.raises(TrimParameterError, match=r"not a value of type int$"):
        rendered.connection_id(10**5000)
