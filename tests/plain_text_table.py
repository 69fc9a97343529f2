"""`python -m tests.plain_text_table`: how the detector judges the labelled texts, and which rules err."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.tasks.plain_text.cases import FILES, LABELS, Score, cases, score


def main() -> None:
    console = Console(width=110)
    for file in FILES:
        if not file.exists():
            continue
        judged = score(cases(file))
        console.print(confusion(file.name, judged))
        console.print(errors(judged))


def confusion(title: str, judged: Score) -> Table:
    table = Table("label", "accepted", "refused", "wrong", title=title, title_justify="left")
    for label in LABELS:
        accepted, refused = judged.accepted[label], judged.refused[label]
        if accepted + refused:
            wrong = sum(case.label == label for case, _ in judged.wrong)
            share = f"{wrong} ({wrong / (accepted + refused):.1%})"
            table.add_row(label, str(accepted), str(refused), share)
    return table


def errors(judged: Score) -> Table | str:
    if not judged.wrong:
        return "no rule erred\n"
    by_rule = Counter((rule or "none", case.label) for case, rule in judged.wrong)
    table = Table("rule", "label", "errors", "for example")
    for (rule, label), count in by_rule.most_common():
        example = next(case.text for case, by in judged.wrong if (by or "none", case.label) == (rule, label))
        table.add_row(rule, label, str(count), ascii(example)[:60])
    return table


if __name__ == "__main__":
    main()
