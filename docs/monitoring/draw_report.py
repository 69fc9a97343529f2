"""Draws the picture of a report in docs/monitoring.md: `slotgen report --html` of a made-up day.

`python docs/monitoring/draw_report.py` writes it, `--check` says whether it is what would be written.
"""

import sys
from math import exp, log, pi, sin
from pathlib import Path
from random import Random

from gates import Subject
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.drill import DrillRecord
from tasks.operations.stability import assess
from worker.cli.views.report_page import page

PICTURE = Path(__file__).with_name("report.svg")
WIDTH, HEIGHT = 800, 1600
END_MS = 1_785_240_000_000
DAY_MS = 86_400_000
JOBS = 1400
RULES = ("biology-pilot", "biology-pilot", "chemistry-cards")
# When the model was slow, in shares of the day, and how many seconds a job took then and else.
SLOW, SECONDS = (0.55, 0.7), (10, 4)
# Of a day on which a model was slow in the afternoon, and wrote markup now and then.
ENDS = (
    (0.900, "COMPLETED", None, None),
    (0.950, "STUB", "ROLLOUT_EXCLUDED", None),
    (0.975, "STUB", "NOT_OPTED_IN", None),
    (0.990, "FAILED", "OPENAI_TIMEOUT", None),
    (0.996, "FAILED", "OPENAI_RATE_LIMITED", None),
    (1.000, "FAILED", "OUTPUT_POLICY_VIOLATION", "bullet_list"),
)


def an_outcome(number: int, rng: Random) -> OutcomeRecord:
    """Return how one of the day's jobs ended: most come by day."""
    at = number / JOBS
    share = rng.random()
    _, status, code, rule = next(each for each in ENDS if share <= each[0])
    called = status != "STUB"
    usual = SECONDS[0] if SLOW[0] < at < SLOW[1] else SECONDS[1]
    seconds = exp(log(usual) + 0.5 * sum(rng.random() - 0.5 for _ in range(6)))
    return OutcomeRecord(
        subject=Subject(
            f"job-{number}", "lesson.intro", "explanatory", "Biology", "GCSE", "AQA", "8461", opted_in=True
        ),
        task_id=f"task-{number}",
        output_type="text",
        status=status,
        error_code=code,
        path="openai" if called else "stub",
        latency_ms=1000 * seconds if called else 2.0,
        executor_version="2026-11-1",
        worker_id="w1",
        rule_id=RULES[number % len(RULES)],
        cost_nano_usd=int(seconds * 200_000) if called else 0,
        policy_rule=rule,
        telemetry_valid=True,
        wall_ms=int(END_MS - DAY_MS * (1 - at + 0.12 * sin(2 * pi * at) / pi)),
    )


def picture() -> str:
    """Return the page as a picture, in light and dark."""
    rng = Random(7)  # noqa: S311 - the same day each time
    day = sorted((an_outcome(number, rng) for number in range(JOBS)), key=lambda each: each.wall_ms)
    drill = DrillRecord(
        END_MS - 5 * 3_600_000, "ann", passed=True, halt_ms=41.0, workers=3, cancelled_calls=12, checks=()
    )
    shown = page(
        assess(day, drill, END_MS),
        day,
        namespace="slotgen",
        covers="the last 24h",
        from_wall_ms=END_MS - DAY_MS,
        to_wall_ms=END_MS,
    )
    style, rest = shown.split("<style>", 1)[1].split("</style></head>\n<body>", 1)
    # In a picture each element needs its language.
    body = rest.split("</body>", 1)[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {HEIGHT}">\n'
        f"<style>{style}</style>\n"
        '<rect width="100%" height="100%" style="fill: var(--paper)"/>\n'
        f'<foreignObject {size}><body xmlns="http://www.w3.org/1999/xhtml">{body}</body>'
        "</foreignObject>\n</svg>\n"
    )


def main() -> int:
    """Write the picture; with --check write nothing, and exit 1 where it is not what it would be."""
    drawn = picture()
    if "--check" not in sys.argv:
        PICTURE.write_text(drawn, "utf-8")
    elif PICTURE.read_text("utf-8") != drawn:
        sys.stderr.write(f"{PICTURE.name} is not what draw_report.py draws; run make generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
