"""docs/plain-text.md has the rules as they are; `python -m tests.docs.test_plain_text` prints the table."""

from __future__ import annotations

from pathlib import Path

from tasks.plain_text import RULES, characters

PAGE = Path(__file__).parents[2] / "docs" / "plain-text.md"


def table() -> str:
    rows = [
        f"| `{rule.name}` | {rule.reason} | {shown(rule.refused)} | {shown(rule.accepted)} |"
        for rule in RULES
    ]
    return "\n".join(
        ["| Rule | What it finds, or why it is there | Refused | Accepted |", "|---|---|---|---|", *rows]
    )


def shown(text: str) -> str:
    """Return an example as code in a cell, what cannot be seen written out."""
    visible = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    fence = "``" if "`" in visible else "`"
    return f"{fence}{' ' if fence == '``' else ''}{visible}{' ' if fence == '``' else ''}{fence}".replace(
        "|", "\\|"
    )


def test_the_page_has_the_rules():
    assert table() in PAGE.read_text("utf-8")


def test_the_page_says_which_rules_are_about_characters():
    said = PAGE.read_text("utf-8")

    assert all(f"`{rule.name}`" in said for rule in characters.RULES)


if __name__ == "__main__":
    print(table())
