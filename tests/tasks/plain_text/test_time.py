"""Judging takes time in proportion to the text, whatever is in it.

What is compared is the processor time of one text and of the same eight times as long, not a clock: a search
that starts again at each sign takes 64 times as long. Each rule judges all of it, whatever others found.
"""

from __future__ import annotations

import time

import pytest

from tasks.plain_text import RULES, FieldKind
from tasks.plain_text.passage import Passage

# Of hundreds of texts; what the core keeps is the detector's verdicts.
pytestmark = pytest.mark.thorough

LENGTH, TIMES = 2_500, 8
MOST = 3 * TIMES
# So that what takes no time to speak of has no ratio to speak of.
FLOOR_SECONDS = 0.002
TRIES = 3
SIGNS = (
    "*a §**a §_a §__a §~~a §==a §"
    "![§<§*§[§](§`§#§>§|§=§_§~§^§&§\\§(§-§\n§ §\t§ \n§* a §*a* §**a§** a§_a_ §__a§~~ a§~2~§==a§== a ==\n§"
    "'''§'''a§x^2^§`a `§``a`§```\n§``` §~~~\n§~~~a\n§[[§[[a§[a](§[a]()§![a](§[a]: §[a]: h\n§[^§[^a§[^a]§"
    "[^a §^[a§[b]§[/b]§[b][/§<https://§<https://a> §www.a.§<a §<p> §<b>x §</p §<a x=§<a x='§<a on§"
    "<a onx §<br §<style>§<form §"
    "<title>§<h1> §<label> §<!--§comment <!-- §tag <p> §<?php §&lt§&lt;p §&amp;§&#§&#9§&#x§"
    'an entity &lt; §on§onx §onx = §javascript:§= §="§<s§<script.§< §%3c§\\u003c§# §# a\n§# A\n§## A\n§'
    "#A\n§##A\n§# A\nx = 1\n§A\n---\n§A\n===\n\n§h1. §h1. a\n§- a\n§-aa\n§- \n§- aa\nx\n§"
    "- aa\n\n- bb\nx\n§+ aa\n- bb\n§- aa ?\n- oui.\n§- [ §1. [ §1. §> a\n§>aa\n§1\n> aa\n§|a|\n§"
    "| a |\nx\n§|-§|--§a|b\n§---\n§\n---\n\n§+-§+--+\n§f(x) §f(x);\n§a=(§x;§if a:§import a §a {\n§::§:::§"
    ":::a\n§\\textbf§\\begin{§\u0301§a\u0301§\u200d§\u0645\u200c§\u200e§\u200e\u05d0§\u2066§\u2066\u2069§"
    "\ufe0f§\xad§\U000e0041§\U0001f3f4\U000e0061§\U0001f600\u200d§\u200b§\u6c34§\u2014 §\x00§\ud800"
)
REPEATED = SIGNS.split("§")
ENDINGS = ("", "\u05d0 tag entity comment <p>*b*</p>`x` [/b]", "print(1)")
# A long row of one sign may follow another.
BEGUN = ("<", "```", "= ", "<a ", "onx", "](", "# ", "- ", "&#", "|", "[a]:", "if ", "*a", "`a")


def seconds(text: str) -> float:
    began = time.process_time()
    for rule in RULES:
        rule.find(Passage(text, FieldKind.TEXT))
    return time.process_time() - began


def is_in_proportion(short: str, long: str) -> bool:
    return any(seconds(long) + FLOOR_SECONDS <= MOST * (seconds(short) + FLOOR_SECONDS) for _ in range(TRIES))


@pytest.mark.parametrize("repeated", REPEATED, ids=ascii)
@pytest.mark.parametrize("ending", ENDINGS, ids=["alone", "before signs", "before code"])
def test_a_repeated_sign_is_judged_in_proportion_to_its_length(repeated: str, ending: str):
    short = repeated * (LENGTH // len(repeated)) + ending

    assert is_in_proportion(short, repeated * (TIMES * LENGTH // len(repeated)) + ending)


@pytest.mark.parametrize("begun", BEGUN, ids=ascii)
@pytest.mark.parametrize("filling", [" ", "a", "1", "-", "=", "(", "[", '"', "a-", ": ", ".a"], ids=ascii)
def test_a_long_row_after_a_sign_is_judged_in_proportion_to_its_length(begun: str, filling: str):
    before, after = f"# A\n{begun}", "!\n# A"
    short = before + filling * (LENGTH // len(filling)) + after

    assert is_in_proportion(short, before + filling * (TIMES * LENGTH // len(filling)) + after)
