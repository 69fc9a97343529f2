"""`slotgen report`: a table, a document, a page; exit 0 only when the beta is stable."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from tasks.operations.drill import DrillRecord
from worker.adapters.redis.console.drills import RedisDrills


def drilled(slotgen, actor="ann"):
    now_ms = slotgen.client.time()[0] * 1000
    RedisDrills(slotgen.client, slotgen.namespace).add(DrillRecord(now_ms, actor, True, 9.0, 1, 3, ()))


def test_no_data_is_not_stable(slotgen):
    code, said = slotgen("report")

    assert code == 1
    assert said.count("unknown") == 5
    assert "never drilled; run `slotgen drill`" in said


def test_a_good_day_is_stable(slotgen):
    slotgen.outcomes(30)
    drilled(slotgen)

    code, said = slotgen("report", "--since", "90m")

    assert code == 0
    assert said.count("│ pass ") == 5
    assert "of the last 90m, for the history begins then" in said


def test_everything_is_in_the_document(slotgen):
    slotgen.outcomes(30)
    slotgen.outcomes(2, status="FAILED", error_code="OPENAI_TIMEOUT")
    drilled(slotgen)

    code, said = slotgen("report", "--json")

    document = json.loads(said)
    assert code == 1
    assert (document["stable"], document["jobs"], document["admitted"]) == (False, 32, 32)
    assert document["errorCodes"] == {"OPENAI_TIMEOUT": 2}
    assert document["latencyMs"] == {"p50": 100.0, "p95": 100.0, "p99": 100.0}


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
    assert "past-" not in page


def test_a_page_without_data_says_so(slotgen):
    path = slotgen.folder / "report.html"

    slotgen("report", "--html", str(path))

    assert path.read_text().count("<p>no data</p>") == 3


def test_a_page_that_cannot_be_written_is_a_sentence(slotgen):
    code, said = slotgen("report", "--html", str(slotgen.folder / "nowhere" / "r.html"))

    assert (code, "cannot be written" in said) == (1, True)


def test_a_duration_has_a_unit(slotgen):
    assert slotgen("report", "--since", "24")[0] == 2


def test_it_reaches_back_as_far_as_one_likes(slotgen):
    slotgen.outcomes(1)

    assert "1 jobs ended" in slotgen("report", "--since", "99999d")[1]


def test_names_that_look_like_markup_are_shown_as_they_are(slotgen):
    drilled(slotgen, actor="[/]ann[bold]")
    path = slotgen.folder / "[red].html"

    code, said = slotgen("report", "--html", str(path))

    assert (code, path.exists()) == (1, True)
    assert "by [/]ann[bold]: 1 workers" in said
    assert "[red].html" in said
