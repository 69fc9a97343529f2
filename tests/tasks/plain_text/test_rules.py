"""Each rule finds what its examples say it finds, names the line, and is all that finds it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tasks.plain_text import RULES, FieldKind, MarkupFinding, MarkupRule, find_markup
from tasks.plain_text.passage import Passage
from tests.tasks.plain_text.cases import FOLDER

TEXT, OPTION = FieldKind.TEXT, FieldKind.OPTION
# By rule: more texts that it finds, and more that no rule does.
MORE: dict[str, dict[str, list[str]]] = json.loads((FOLDER / "plain_text_rules.json").read_text("utf-8"))
REFUSED = {rule.name: [rule.refused, *MORE[rule.name]["refused"]] for rule in RULES}
ACCEPTED = {rule.name: [rule.accepted, *MORE[rule.name]["accepted"]] for rule in RULES}


def examples(texts: dict[str, list[str]]) -> list[Any]:
    return [
        pytest.param(name, text, id=f"{name}-{at}")
        for name, those in texts.items()
        for at, text in enumerate(those)
    ]


@pytest.mark.parametrize(("name", "text"), examples(REFUSED))
def test_a_rule_finds_its_examples(name: str, text: str):
    finding = find_markup(text, TEXT)

    assert finding
    assert finding.rule == name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_without_a_rule_some_of_its_examples_would_be_accepted(rule: MarkupRule):
    others = [each for each in RULES if each is not rule]

    assert any(
        all(other.find(Passage(text, TEXT)) is None for other in others) for text in REFUSED[rule.name]
    )


@pytest.mark.parametrize(("name", "text"), examples(ACCEPTED))
def test_no_rule_finds_what_only_looks_like_it(name: str, text: str):
    assert find_markup(text, TEXT) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_it_is(rule: MarkupRule):
    assert re.fullmatch(r"[a-z]+(?:_[a-z]+)*", rule.name)
    assert re.fullmatch(r"[A-Z][^\n]+\.", rule.reason)
    assert rule.refused
    assert rule.accepted


def test_no_two_rules_share_a_name():
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_no_examples_are_of_a_rule_that_is_gone():
    assert set(MORE) == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("One.\nTwo is **bold**.", MarkupFinding("strong", 2)),
        ("One.\n\n# Three\n\nFive.", MarkupFinding("heading", 3)),
        ("Parts:\n- one part\n- another", MarkupFinding("bullet_list", 2)),
        ("One\nTwo <script>", MarkupFinding("active_html", 2)),
        ("One\n\n\nA &lt;b&gt;fourth&lt;/b&gt;", MarkupFinding("html_element", 4)),
        ("", None),
    ],
)
def test_a_finding_names_the_line(text: str, finding: MarkupFinding | None):
    assert find_markup(text, TEXT) == finding


@pytest.mark.parametrize(
    "text",
    [
        "# comment",
        "# Comment",
        "- five",
        "> five words",
        "* star",
        "_private_",
        "__init__",
        "<p>",
        "**kwargs",
        "`",
    ],
)
def test_an_option_may_be_what_a_text_may_not(text: str):
    assert find_markup(text, OPTION) is None


@pytest.mark.parametrize(
    "text",
    [
        "**bold**",
        "`code`",
        "[a](https://example.org)",
        "<b>bold</b>",
        "<script>",
        "- one\n- two",
        "a\x00",
        "_two words_",
    ],
)
def test_an_option_is_not_free_of_rules(text: str):
    assert find_markup(text, OPTION)


@pytest.mark.parametrize("sign", [chr(each) for each in (*range(0x20), *range(0x7F, 0xA0))], ids=ascii)
@pytest.mark.parametrize("field", FieldKind)
def test_no_control_character_but_newline_and_tab_passes(sign: str, field: FieldKind):
    finding = find_markup(f"a{sign}b", field)

    assert finding == (None if sign in "\n\t" else MarkupFinding("control_character", 1))


@pytest.mark.parametrize(
    ("address", "leads_to_code"),
    [
        (f"&#{'0' * 5000}106;avascript:alert(1)", True),
        (f"&#{'9' * 5000};", False),
        (f"&#x{'f' * 5000};", False),
        ("&#106avascript:alert(1)", True),
        ("&#X6A;avascript&colon;alert(1)", True),
    ],
    ids=lambda value: str(value)[:8],
)
def test_entities_of_any_length_are_read_as_a_browser_reads_them(address: str, leads_to_code: bool):
    assert find_markup(f"<y z={address}>", TEXT) == (
        MarkupFinding("script_url", 1) if leads_to_code else None
    )


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # a family
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # a rainbow flag
        "\U0001f44b\U0001f3fd and 1\ufe0f\u20e3",
        "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",  # Persian
        "\u0d28\u0d4d\u200d",  # Malayalam
        "\u0ba8\u0bbf\u0bb0\u0bcd\u0bb5\u0bbe\u0b95\u0bae\u0bcd",  # Tamil
        "\u0e01\u0e32\u0e23\u200b\u0e40\u0e23\u0e35\u0e22\u0e19",  # Thai, with a place to break the line
        "\u05d1\u05bc\u05b0\u05e8\u05b5\u05d0\u05e9\u05c1\u05b4\u0596\u05d9\u05ea",  # Hebrew with accents
        "\u202bpassage\u202c \u05d0",
        "\u05d0\u200f!",
        "5\u202f\u20ac, 10\u00a0km",
    ],
    ids=ascii,
)
def test_the_joiners_and_marks_of_real_scripts_pass(text: str):
    assert find_markup(text, TEXT) is None


@pytest.mark.parametrize(
    "text",
    [
        "a\u200cb",
        "a\u200db",
        "\u200d",
        "\U0001f600\u200d",
        "\U0001f600\ufe0f\ufe0f",
        "a\ufe0f",
        "x\U000e0101",
        "\U0001f3f4\U000e0061" + "\U000e0062" * 20 + "\U000e007f",  # more than a flag needs
        "\u2066one\n\u2069two",
        "\u2067\u202c\u2069",
        "a\u200f",
        "\u00adstart",
        "\u3164",
        "e" + "\u0301" * 9,
        "\u0e01" + "\u0e47" * 9,
    ],
    ids=ascii,
)
def test_padding_and_open_directions_do_not(text: str):
    assert find_markup(text, TEXT)
