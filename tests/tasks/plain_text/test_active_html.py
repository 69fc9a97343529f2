"""Whatever a browser's parser makes an element of that runs, embeds or leads to code is refused.

The texts are made by seed, from pieces in every order: tags with and without their ends, slashes and
quotation marks for blanks, entities in addresses, comments and raw text that end early, ordinary words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from selectolax.lexbor import LexborHTMLParser

from tasks.plain_text import FieldKind, find_markup
from tests.tasks.plain_text.cases import FILES, cases

TEXTS = 5000
# How an answer may come to be in a page: alone, in an element, and before what closes its open ends.
PAGES = ("{}", "<p>{}</p>", "<div>{}</div><p title=\"a > b\">more</p><a href='/x'>y</a>")
RUNS_OR_EMBEDS = {"script", "iframe", "frame", "embed", "applet"}
# Harmless until an attribute has a value.
ACTIVE_WITH_A_VALUE = {"audio", "video", "bgsound", "style", "link", "meta", "base", "form"}
# Words that begin with "on", in a comparison that a parser takes for a tag: `a<b and only = 1`.
NO_EVENTS = {"on", "only", "once", "one", "ones", "online", "onto"}
# Those that are made below; without a value they are handlers all the same.
KNOWN_EVENTS = {"onclick", "onload", "onerror", "onfocus", "onpointermove"}
HARMLESS = (
    "a b p div x y name foo-bar title textarea select table td body input form details o:p P B br option h1 h"
)
ACTIVE = (
    "script iframe svg math img object embed noscript xmp style plaintext template frameset base meta"
    " link audio video"
)
BETWEEN = [" ", " ", " ", "/", "\n", "\t", '"', "'", "//", " / ", "", "=", "  "]
ATTRIBUTES = "href src title class onclick onload onerror ONFOCUS onpointermove x only id data action style"
ENDS = [">", ">", ">", "", "/>", "<"]
COMMENTS = "<!-- --> --!> <!--> <!---> <! <? ]]> <![CDATA[ </title> </textarea> </p> &lt; < > = - / \" '"
PROSE = ["if a<b then ", "x<y and y>z ", "prose of a lesson ", "2*3*4", "\n"]
PIECES = [*COMMENTS.split(), *PROSE]


def dangers(page: str) -> Iterator[str]:
    """Yield what in the parsed `page` runs, embeds or leads to code."""
    root = LexborHTMLParser(page).root
    assert root
    for node in root.traverse():
        attributes = node.attributes
        if node.tag in RUNS_OR_EMBEDS or (node.tag == "object" and attributes):
            yield f"<{node.tag}>"
        if node.tag in ACTIVE_WITH_A_VALUE and any(attributes.values()):
            yield f"<{node.tag}> with an attribute"
        for name, value in attributes.items():
            handler = re.fullmatch("on[a-z]+", name) and name not in NO_EVENTS
            if handler and (value or name in KNOWN_EVENTS):
                yield f"an event handler {name}"
            # As the URL standard reads it.
            address = re.sub(r"[\t\n\r]", "", (value or "").lstrip("".join(map(chr, range(0x21)))))
            if address.lower().startswith(("javascript:", "vbscript:")):
                yield f"an address of code in {name}"


def made_text(rng: random.Random) -> str:
    names = HARMLESS.split() if rng.random() < 0.7 else ACTIVE.split()
    return "".join(
        made_tag(rng, names) if rng.random() < 0.55 else rng.choice(PIECES) for _ in range(rng.randint(1, 9))
    )


def made_tag(rng: random.Random, names: list[str]) -> str:
    name = "".join(each.upper() if rng.random() < 0.1 else each for each in rng.choice(names))
    attributes = "".join(
        rng.choice(BETWEEN)
        + rng.choice(ATTRIBUTES.split())
        + rng.choice(["", "=", "=", " = ", "=\n"])
        + made_value(rng)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))
    )
    begin, between = rng.choice(["<", "<", "<", "</", "< "]), rng.choice([*BETWEEN, *[""] * 8])
    return f"{begin}{name}{attributes}{between}{rng.choice(ENDS)}"


def made_value(rng: random.Random) -> str:
    value = rng.choice(["javascript:alert(1)", "alert(1)", "x", "", "a>b", ">", "<", "vbscript:x", "/page"])
    if rng.random() < 0.6:
        value = rng.choice(["", "", " ", "\n", "&#1;", "\t"]) + "".join(
            disguised(rng, each) for each in value
        )
    quote = rng.choice(['"', "'", ""])
    return quote + value + (quote if rng.random() < 0.85 else "")


def disguised(rng: random.Random, sign: str) -> str:
    if rng.random() >= 0.2:
        return sign
    semicolon = rng.choice([";", ";", ""])
    return rng.choice(
        [
            f"&#{ord(sign)};",
            f"&#x{ord(sign):x}{semicolon}",
            f"&#{ord(sign):07}{semicolon}",
            f"{sign}&Tab;",
            f"{sign}\n",
            {":": "&colon;"}.get(sign, sign.upper()),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_parser_finds_dangerous_is_refused(seed: int):
    rng = random.Random(seed)
    found = 0
    for _ in range(TEXTS):
        text = made_text(rng)
        danger = next((each for page in PAGES for each in dangers(page.format(text))), None)
        if danger:
            found += 1
            assert find_markup(text, rng.choice(list(FieldKind))), f"{danger} in {text!r}"
    assert found > TEXTS / 10  # else the pieces no longer make what this is about


def test_no_labelled_text_that_is_accepted_is_dangerous():
    for case in (case for file in FILES for case in cases(file) if not case.refused_by):
        for page in PAGES:
            assert not list(dangers(page.format(case.text))), case


def test_the_parser_sees_the_dangers_of_the_contract():
    for text in (
        "<svg/onload=alert(1)>",
        "<img src=x onerror=alert(1)//",
        '<a href="java&#9;script:alert(1)">x</a>',
    ):
        assert any(list(dangers(page.format(text))) for page in PAGES), text
