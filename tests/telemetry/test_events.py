import dataclasses

import pytest

import schemas
from telemetry import Details
from tests.telemetry.samples import a_stub, an_event


def test_an_event_is_the_document_of_the_locked_schema():
    document = an_event().as_dict()

    assert list(document) == list(schemas.load("telemetry.v1")["properties"])
    assert schemas.violations("telemetry.v1", document) == []
    assert schemas.violations("telemetry.v1", a_stub().as_dict()) == []


def test_an_event_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        an_event().status = "STUB"


def test_details_leave_out_what_is_not_known_and_keep_zero_and_false():
    assert Details(task_id="t", attempts=0, cached=False).as_dict() == {
        "task_id": "t",
        "attempts": 0,
        "cached": False,
    }


@pytest.mark.parametrize(
    ("nano_usd", "usd"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (35_000, "0.000035000"),
        (12_345_678_901, "12.345678901"),
        (10**30 + 1, "1000000000000000000000.000000001"),
    ],
)
def test_a_cost_is_told_as_exact_decimal_text_too(nano_usd, usd):
    assert Details(cost_nano_usd=nano_usd).as_dict() == {"cost_nano_usd": nano_usd, "cost_usd": usd}
