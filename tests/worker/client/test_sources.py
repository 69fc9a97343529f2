"""Specs are found in whatever form they lie around, with the line that an error can name."""

from __future__ import annotations

import json
import os

import pytest

from tests.builders import a_job, a_spec
from worker.client import sources
from worker.client.sources import BadSource, count, files, items


def found(path):
    return [(each.number, json.loads(each.text)) for each in items(files([str(path)]))]


def test_json_lines_are_one_spec_a_line_and_blank_lines_count(tmp_path):
    file = tmp_path / "specs.jsonl"
    file.write_text('{"a": 1}\n\n  {"a": 2}\r\n{"a": 3}')

    assert found(file) == [(1, {"a": 1}), (3, {"a": 2}), (4, {"a": 3})]
    assert count([str(file)]) == 3


@pytest.mark.parametrize("name", ["specs.json", "specs.txt"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "a": 1,\n  "b": {"c": 2}\n}\n', [(1, {"a": 1, "b": {"c": 2}})]),
        ('{"a": 1}', [(1, {"a": 1})]),
        ('[{"a": 1},\n {"a": 2}]', [(1, {"a": 1}), (2, {"a": 2})]),
        ('{"a": 1}\n{"a": 2}\n', [(1, {"a": 1}), (2, {"a": 2})]),
    ],
)
def test_a_json_file_is_a_spec_an_array_or_lines(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)

    assert found(tmp_path / name) == expected


def test_the_mark_at_the_beginning_of_a_file_is_passed_over(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{\r\n"a": 1}\r\n')
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 2}\r\n')

    assert found(tmp_path) == [(1, {"a": 1}), (1, {"a": 2})]


def test_a_document_that_is_broken_is_one_item_not_one_for_each_of_its_lines(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text('{\n  "a": 1,\n  "b": \n}\n')

    (item,) = items([str(file)])

    assert (str(item), item.text) == (f"{file}:1", b'{\n"a": 1,\n"b":\n}')


def test_lines_whose_first_is_broken_are_lines_all_the_same(tmp_path):
    file = tmp_path / "specs.json"
    file.write_text('{"a": \n{"jobs": 2}\n{"jobs": 3}\n')

    assert [each.number for each in items([str(file)])] == [1, 2, 3]


def test_a_folder_is_its_files_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/2.jsonl", "a.json", "c.ndjson", "notes.txt"):
        (tmp_path / name).write_text('{"name": "' + name + '"}')

    assert [spec["name"] for _, spec in found(tmp_path)] == ["a.json", "b/2.jsonl", "c.ndjson"]


def test_standard_input_is_read_line_by_line_as_it_comes(monkeypatch):
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        # A line that is broken must not hold up those after it.
        os.write(writing, b'{"bad\n{"jobs": 1}\n')
        coming = items(["-"])

        assert [next(coming).text, next(coming).text] == [b'{"bad', b'{"jobs": 1}']
        assert count(["-"]) is None
    finally:
        os.dup2(saved, 0)
        for each in (reading, writing, saved):
            os.close(each)


def test_a_spec_with_one_job_a_line_is_one_spec(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text('{\n"version": "v1",\n"jobs": [\n{"jobId": "a"},\n{"jobId": "b"}\n]\n}\n')

    assert found(file) == [(1, {"version": "v1", "jobs": [{"jobId": "a"}, {"jobId": "b"}]})]


def test_an_array_keeps_to_the_rules_of_a_spec(tmp_path):
    file = tmp_path / "specs.json"
    file.write_text('[{"version": "v9", "version": "v1"}]')

    # Not taken apart: the strict parser says why, once, when it is sent.
    assert [each.text for each in items([str(file)])] == [file.read_bytes()]


@pytest.mark.parametrize("between", ["", "\n"])
def test_an_array_that_is_too_large_is_refused_as_a_whole(tmp_path, monkeypatch, between):
    monkeypatch.setattr(sources, "MAX_DOCUMENT_BYTES", 100)
    file = tmp_path / "specs.json"
    file.write_text("[" + f",{between}".join(['{"jobs": 1}'] * 50) + "]")

    with pytest.raises(BadSource, match=r"specs.json: is an array of more than 100 bytes; put each spec on"):
        list(items([str(file)]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "a.json").write_text("{}")

    with pytest.raises(BadSource, match=r"closed: cannot be read"):
        files([str(tmp_path)])


def test_a_line_beyond_every_limit_is_cut_and_the_next_one_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_DOCUMENT_BYTES", 100)
    file = tmp_path / "specs.jsonl"
    file.write_text('{"a": "' + "x" * 1000 + '"}\n{"a": 2}\n')

    first, second = items([str(file)])

    assert len(first.text) == 101
    assert (second.number, second.text) == (2, b'{"a": 2}')


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
def test_a_file_that_holds_nothing_counts_and_says_so(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "b.json").write_text('{"a": 1}')
    sources = [str(tmp_path / name), str(tmp_path / "b.json")]

    empty, sound = items(sources)

    assert (str(empty), empty.problem) == (
        f"{sources[0]}:1",
        "is empty; put a job spec there, or leave the file out",
    )
    assert (sound.text, sound.problem) == (b'{"a": 1}', "")
    assert count(sources) == 2


@pytest.mark.parametrize("given", ["absent.json", "empty"])
def test_what_holds_nothing_is_named(tmp_path, given):
    (tmp_path / "empty").mkdir()

    with pytest.raises(BadSource, match=given):
        files([str(tmp_path / given)])


def test_what_cannot_be_read_is_named_and_the_others_are_read(tmp_path):
    # Root may read everything; a file that went after it was listed cannot be read by anybody.
    (tmp_path / "b.json").write_text('{"a": 1}')

    gone, sound = items([str(tmp_path / "gone.json"), str(tmp_path / "b.json")])

    assert gone.problem == "cannot be read (No such file or directory); mend that, or leave the file out"
    assert sound.text == b'{"a": 1}'


def test_of_chosen_jobs_only_the_specs_that_have_them_are_left(tmp_path):
    file = tmp_path / "specs.jsonl"
    texts = [a_spec(a_job("a"), a_job("b")), a_spec(a_job("c")), "no spec", {"jobs": 7}, a_spec(a_job("d"))]
    file.write_text("".join(json.dumps(each) + "\n" for each in texts))

    chosen = list(items([str(file)], {"b", "d"}))

    assert [(each.number, json.loads(each.text)) for each in chosen] == [
        (1, a_spec(a_job("b"))),
        (5, a_spec(a_job("d"))),
    ]
    assert count([str(file)], {"b", "d"}) == 2
