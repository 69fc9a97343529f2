"""The AsyncAPI document is valid, complete, and what the schemas say; a real answer fits it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

import schemas
from tests import node
from tests.builders import a_spec
from worker.adapters.redis.message import raw_message

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))


def test_it_is_what_the_schemas_say():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "asyncapi.py", "--check"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.thorough
def test_it_is_an_asyncapi_3_document():
    published = node.modules() / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"

    assert list(Draft7Validator(json.loads(published.read_text())).iter_errors(DOCUMENT)) == []


def test_every_reference_leads_somewhere():
    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(DOCUMENT):
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


@pytest.mark.parametrize("name", DOCUMENT["components"]["messages"])
def test_every_example_of_a_message_follows_its_schema(name):
    message = DOCUMENT["components"]["messages"][name]
    schema = DOCUMENT["components"]["schemas"][message["payload"]["$ref"].rpartition("/")[2]]["schema"]

    assert message["examples"]
    for each in message["examples"]:
        assert list(Draft202012Validator(schema).iter_errors(each["payload"])) == []


def test_the_body_of_a_message_is_described_as_it_is():
    message = json.loads(raw_message(a_spec(), "task-1", "slotgen"))
    body = DOCUMENT["components"]["schemas"]["message.v2"]["schema"]["properties"]["body"]

    decoded = json.loads(base64.b64decode(message["body"]))

    assert list(Draft202012Validator(body["contentSchema"]).iter_errors(decoded)) == []
    assert list(Draft202012Validator(body["contentSchema"]).iter_errors([[{}], {}, {}])) != []


def test_every_output_type_is_in_it():
    shown = DOCUMENT["components"]["schemas"]

    assert {each.replace("/", ".") for each in schemas.names() if each.startswith("outputs/")} <= shown.keys()
