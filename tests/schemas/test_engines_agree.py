import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from tests.schemas.judge import JSON, at, examples, judge, mutants, objects, on_disk, replaced

SOME = settings(max_examples=60)


@pytest.mark.parametrize("name", schemas.names())
@SOME
@given(data=st.data())
def test_the_fast_engine_and_jsonschema_give_the_same_verdict_on_a_damaged_example(name, data):
    document = data.draw(mutants(name))

    assert schemas.is_valid(name, document) == judge(name).is_valid(document)


@pytest.mark.parametrize("name", schemas.names())
@SOME
@given(document=JSON)
def test_the_fast_engine_and_jsonschema_give_the_same_verdict_on_any_json(name, document):
    assert schemas.is_valid(name, document) == judge(name).is_valid(document)


@pytest.mark.parametrize("name", schemas.names())
@SOME
@given(data=st.data())
def test_a_document_has_violations_exactly_when_it_is_not_valid(name, data):
    document = data.draw(mutants(name))

    found = schemas.violations(name, document)

    assert bool(found) != schemas.is_valid(name, document)


PATTERNS = [
    ("result.v1", ("generatedAt",)),
    ("executor.v1", ("prices", "gpt-6-luna", "outputUsdPerMillion")),
    ("executor.v1", ("prompts", "revision")),
    ("message.v2", ("headers", "eta")),
    ("outputs/text.v1", ()),
]


@pytest.mark.parametrize(("name", "path"), PATTERNS)
@settings(max_examples=150)
@given(data=st.data())
def test_both_engines_read_each_pattern_the_same_way(name, path, data):
    document = examples(name)[0]
    good = at(document, path) if path != ("headers", "eta") else "2028-02-29T10:15:00.5Z"
    cut = data.draw(st.integers(0, len(good)))
    text = good[:cut] + data.draw(st.text(max_size=2)) + good[cut + data.draw(st.integers(0, 2)) :]

    damaged = replaced(document, path, text)

    assert schemas.is_valid(name, damaged) == judge(name).is_valid(damaged)


@pytest.mark.parametrize("blank", ["\x1c", "\x85", "\ufeff", "\u00a0", "\u200b", "\u2028", "\u3000", " \n\t"])
def test_text_of_blanks_alone_is_refused_by_both_engines(blank):
    assert not schemas.is_valid("outputs/text.v1", blank)
    assert not judge("outputs/text.v1").is_valid(blank)


def test_a_resolved_schema_refers_to_nothing():
    for name in schemas.names():
        assert '"$ref"' not in json.dumps(schemas.load(name))


@pytest.mark.parametrize("name", schemas.names())
def test_beside_a_reference_stand_only_words_or_rules_that_its_target_has_not(name):
    # Resolving merges the two; a rule that both have would be lost on the way.
    words = {"title", "description", "$comment", "examples"}
    root = on_disk(name)
    for path, node in objects(root):
        if str(node.get("$ref")).startswith("#/$defs/"):
            target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
            assert (node.keys() & target.keys()) <= words, path
        elif "$ref" in node:
            assert node.keys() == {"$ref"}, path
