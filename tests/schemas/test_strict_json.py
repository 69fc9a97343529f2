import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import UnacceptableJson, check_depth, depth, parse_json

REFUSED = [
    (b'{"a": 1}' + b" " * 100, "has 108 bytes and the limit is 100; send less, or raise the limit"),
    (b'"\xff"', "is not UTF-8; encode the text as UTF-8"),
    ("\ud800", "is not UTF-8; encode the text as UTF-8"),
    (b'"\xed\xa0\x80"', "is not UTF-8; encode the text as UTF-8"),
    (b"", "is not JSON (line 1, column 1); mend the syntax there"),
    (b'{"a":\n 1 2}', "is not JSON (line 2, column 4); mend the syntax there"),
    (b"{'secret': 1}", "is not JSON (line 1, column 2); mend the syntax there"),
    (b"\xef\xbb\xbf{}", "is not JSON (line 1, column 1); mend the syntax there"),
    ('"a"'.encode("utf-16"), "is not UTF-8; encode the text as UTF-8"),
    (b"[NaN]", "has NaN, which JSON does not know; send a number or null"),
    (b"[-Infinity]", "has -Infinity, which JSON does not know; send a number or null"),
    (b"[1e999]", "has a number that is too large; send numbers that a double can hold"),
    (b'{"a": {"b": 1, "b": 2}}', "gives b twice in one object; give each property once"),
    (b'{"my secret": 1, "my secret": 2}', "gives a property twice in one object; give each property once"),
    (b'["\\ud83d"]', "has half a surrogate pair; send whole Unicode characters"),
    (b'{"\\uDC00": 1}', "has half a surrogate pair; send whole Unicode characters"),
    (b"[[[[]]]]", "is nested deeper than 3 levels; send a flatter document"),
]


@pytest.mark.parametrize(
    ("text", "said"), REFUSED, ids=[f"{number}-{said[:40]}" for number, (_, said) in enumerate(REFUSED)]
)
def test_unacceptable_text_is_refused_with_a_reason_and_a_remedy(text, said):
    with pytest.raises(UnacceptableJson) as refusal:
        parse_json(text, max_bytes=100, max_depth=3)

    assert str(refusal.value) == f"{refusal.value.problem}; {refusal.value.remedy}" == said
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_a_hundred_thousand_brackets_are_too_deep_and_nothing_worse(bracket):
    with pytest.raises(UnacceptableJson, match="nested deeper than 32"):
        parse_json(bracket * 100_000, max_bytes=1_000_000)


def test_an_integer_of_thousands_of_digits_is_refused():
    with pytest.raises(UnacceptableJson, match="number that is too large"):
        parse_json(b"9" * 5000, max_bytes=10_000)


def test_brackets_in_strings_are_not_depth():
    assert parse_json(json.dumps(["[" * 50]), max_bytes=1000, max_depth=1) == ["[" * 50]


def test_a_whole_surrogate_pair_is_one_character():
    assert parse_json(rb'"\ud83d\ude00"', max_bytes=100) == "😀"


@pytest.mark.parametrize(
    "text", [b'{"a": [1, 2.5, true, null, "\xc3\xa9"]}', '{"a": [1, 2.5, true, null, "é"]}']
)
def test_acceptable_text_becomes_its_value(text):
    assert parse_json(text, max_bytes=100) == {"a": [1, 2.5, True, None, "é"]}


def test_exactly_the_limits_are_acceptable():
    assert parse_json(b"[[0]]", max_bytes=5, max_depth=2) == [[0]]


def test_a_document_of_32_levels_is_acceptable_by_default_and_33_are_not():
    assert depth(parse_json("[" * 32 + "]" * 32, max_bytes=100)) == 32
    with pytest.raises(UnacceptableJson):
        parse_json("[" * 33 + "]" * 33, max_bytes=100)


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ("[[", 0), ([], 1), ({}, 1), ([1, [2]], 2), ({"a": [{}]}, 3)]
)
def test_depth_counts_arrays_and_objects(value, levels):
    assert depth(value) == levels


def test_depth_is_measured_without_recursion():
    value = []
    for _ in range(100_000):
        value = [value]

    assert depth(value) == 100_001
    with pytest.raises(UnacceptableJson):
        check_depth(value, 32)
    while value:  # taken apart by hand: its destructor would recurse
        value = value.pop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON, escape=st.booleans())
def test_whatever_python_writes_as_json_is_read_back_unchanged(value, escape):
    text = json.dumps(value, ensure_ascii=escape)

    assert parse_json(text.encode(), max_bytes=10**6, max_depth=100) == value


@given(noise=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(noise):
    try:
        value = parse_json(noise, max_bytes=100)
    except UnacceptableJson:
        return
    assert not isinstance(value, float) or math.isfinite(value)
