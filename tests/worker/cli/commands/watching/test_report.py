"""`slotgen report`: a table, a document, a page; exit 0 only when the beta is stable."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from tasks.operations.drill import DrillRecord
from tests.history import keep, keep_at
from tests.tasks.operations.past import an_outcome
from worker.adapters.redis.console.drills import RedisDrills

MINUTE = r"\d{4}-\d\d-\d\d \d\d:\d\d"


def a_good_day(slotgen):
    """Leave 60 jobs of the last 13 hours in the history, by Redis's clock."""
    now_ms = slotgen.client.time()[0] * 1000
    keep_at(
        slotgen.client,
        slotgen.namespace,
        {now_ms - each * 13 * 60_000: an_outcome(f"day-{each}") for each in range(60, 0, -1)},
    )


def verdicts(said):
    return re.findall(r"^(pass|fail|unknown) ", said, re.MULTILINE)


def drilled(slotgen, actor="ann"):
    now_ms = slotgen.client.time()[0] * 1000
    RedisDrills(slotgen.client, slotgen.namespace).add(DrillRecord(now_ms, actor, True, 9.0, 1, 3, ()))


def test_no_data_is_not_stable(slotgen):
    code, said = slotgen("report")

    assert code == 1
    assert verdicts(said) == ["unknown"] * 5
    assert "no drill with calls in flight yet; run `slotgen drill`" in said


def test_a_good_day_is_stable(slotgen):
    a_good_day(slotgen)
    drilled(slotgen)

    code, said = slotgen("report")

    assert code == 0
    assert verdicts(said) == ["pass"] * 5
    assert "13 h of the last 24h: the history goes back no further" in said
    assert "stable (jobs: 60, past the gates: 60, outcomes: 60)" in said


def test_a_good_minute_is_not_known_to_be_stable(slotgen):
    slotgen.outcomes(100)
    drilled(slotgen)

    document = slotgen.json("report", code=1)

    assert document["conclusion"] == "not known yet"
    assert [each["verdict"] for each in document["criteria"]] == ["unknown"] * 4 + ["pass"]
    assert all(
        re.search(r"; only the last \d+ s are known, and 12 h are needed$", each["figure"])
        for each in document["criteria"][:4]
    )


def test_one_job_that_is_sent_again_and_again_is_one_job(slotgen):
    for _ in range(100):
        slotgen.outcomes(1)

    document = slotgen.json("report", code=1)

    assert (document["outcomes"], document["jobs"], document["conclusion"]) == (100, 1, "not known yet")
    assert "only 1 job, and 60 are needed" in document["criteria"][0]["figure"]


def test_it_fits_a_screen_of_80_columns_and_24_lines(slotgen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    a_good_day(slotgen)
    slotgen.outcomes(3, status="FAILED", error_code="OUTPUT_POLICY_VIOLATION", policy_rule="bullet_list")

    lines = slotgen("report")[1].splitlines()

    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert "fail     no schema validation failures for outputs" in [each.rstrip() for each in lines]


def test_everything_is_in_the_document(slotgen):
    slotgen.outcomes(30)
    keep(
        slotgen.client,
        slotgen.namespace,
        *(an_outcome(each, status="FAILED", error_code="OPENAI_TIMEOUT") for each in ("late-1", "late-2")),
    )
    drilled(slotgen)

    code, said = slotgen("report", "--json")

    document = json.loads(said)
    assert code == 1
    assert (document["stable"], document["jobs"], document["admitted"]) == (False, 32, 32)
    assert document["errorCodes"] == {"OPENAI_TIMEOUT": 2}
    assert document["latencyMs"] == {"p50": 100.0, "p95": 100.0, "p99": 100.0}
    assert document["spentUsdByRule"] == {"biology": 32 * 1000 / 1e9}
    assert "spent: <$0.0001, by rule biology <$0.0001" in slotgen("report")[1]


def test_the_page_needs_nothing_else_and_names_no_job(slotgen):
    slotgen.outcomes(30)
    slotgen.outcomes(3, status="STUB", error_code="ROLLOUT_EXCLUDED", path="stub")
    path = slotgen.folder / "report.html"

    slotgen("report", "--html", str(path))

    page = path.read_text()
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page)
    assert [tag for tag, _ in tags].count("svg") == 3
    assert not [each for each in tags if {"src", "href"} & each[1].keys()]
    assert "3 ROLLOUT_EXCLUDED" in page
    assert "<tr><td>biology</td><td>&lt;$0.0001</td></tr>" in page
    assert "past-" not in page
    assert f"<h1>Beta of {slotgen.namespace}: not known yet</h1>" in page
    assert re.search(rf"<p>Namespace {slotgen.namespace}, from {MINUTE} to {MINUTE} UTC: ", page)


def test_the_axes_of_the_page_have_round_numbers(slotgen):
    a_good_day(slotgen)
    path = slotgen.folder / "report.html"

    slotgen("report", "--html", str(path))

    times, latency = re.findall(r"<svg.*?</svg>", path.read_text(), re.DOTALL)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", times)
    clock = [each for each in words if re.fullmatch(r"\d\d:00", each)]
    assert words[0] == "outcomes in 16 min; times in UTC"
    assert words[1:3] == ["0", "1"]
    assert 4 <= len(clock) <= 6
    assert {int(each[:2]) % 3 for each in clock} == {0}
    words = re.findall(r"<text[^>]*>([^<]*)</text>", latency)
    assert words[-3:] == ["0.1 s", "1 s", "10 s"]
    assert {"p50 0.10 s", "p95 at most 30 s"} <= set(words)


def test_a_page_without_data_says_so(slotgen):
    path = slotgen.folder / "report.html"

    slotgen("report", "--html", str(path))

    assert path.read_text().count("<p>no data</p>") == 4


def test_a_page_that_cannot_be_written_is_a_sentence(slotgen):
    code, said = slotgen("report", "--html", str(slotgen.folder / "nowhere" / "r.html"))

    assert (code, "cannot be written" in said) == (1, True)


def test_a_duration_has_a_unit(slotgen):
    assert slotgen("report", "--since", "24")[0] == 2


def test_it_reaches_back_as_far_as_one_likes(slotgen):
    slotgen.outcomes(1)

    assert "(jobs: 1, past the gates: 1, outcomes: 1)" in slotgen("report", "--since", "99999d")[1]


def test_names_that_look_like_markup_are_shown_as_they_are(slotgen):
    drilled(slotgen, actor="[/]ann[bold]")
    path = slotgen.folder / "[red].html"

    code, said = slotgen("report", "--html", str(path))

    assert (code, path.exists()) == (1, True)
    assert "by [/]ann[bold]: 9 ms until" in said
    assert "[red].html" in said
