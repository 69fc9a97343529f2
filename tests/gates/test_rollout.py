import json
from pathlib import Path

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import Controls, bucket
from gates.rollout import GATE, RolloutReason
from tests.gates.given import FIRST_BUCKET, LAST_BUCKET, a_subject, dials, restricted
from tests.gates.murmur3 import murmur3_x86_32

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))

# Every vector is pinned for ever. If one breaks, jobs have moved in and out of every rollout under way: what
# was generated yesterday comes back as a STUB today. Mend the code, never the vector.


def check(subject, controls):
    return GATE.check(subject, controls.of(GATE))


@pytest.mark.parametrize(("text", "expected"), [each.values() for each in VECTORS["hashes"]])
def test_the_hash_is_murmurhash3_x86_32(text, expected):
    assert mmh3.hash(text.encode(), 0, signed=False) == expected
    assert murmur3_x86_32(text.encode()) == expected


@pytest.mark.parametrize(("job_id", "expected"), [each.values() for each in VECTORS["buckets"]])
def test_a_pinned_job_stays_in_its_bucket(job_id, expected):
    assert bucket(job_id) == expected


@pytest.mark.parametrize(("job_id", "percent", "admitted"), [each.values() for each in VECTORS["admissions"]])
def test_a_pinned_job_stays_in_or_out_at_a_percentage(job_id, percent, admitted):
    decision = check(a_subject(job_id=job_id), dials(rollout_percent=percent.encode()))

    assert decision.allowed is admitted


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_the_bucket_follows_the_written_formula(job_id):
    assert bucket(job_id) == (murmur3_x86_32(f"slotgen:{job_id}".encode()) * 100_000) >> 32


def test_spreads_jobs_evenly_over_the_percentages():
    # Given 100,000 ids such as producers number them, in 100 classes of 1 %
    counts = [0] * 100
    for number in range(100_000):
        counts[bucket(f"biology-{number}") // 1000] += 1

    # Then chi-square with 99 degrees of freedom stays under its 99.9th percentile
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 148.2


def test_says_the_bucket_and_the_percentage_of_a_yes():
    decision = check(a_subject(job_id=FIRST_BUCKET), dials(rollout_percent=b"12.50"))

    assert (decision.allowed, decision.gate) == (True, "rollout")
    assert decision.detail == "the bucket is inside 12.5 %"


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"99.999", "bucket 99999 is outside 99.999 %"),
        (b"0.050", "bucket 99999 is outside 0.05 %"),
        (b"10", "bucket 99999 is outside 10 %"),
        (b"0", "bucket 99999 is outside 0 %"),
        (b"ten", "bucket 99999 is outside 0 %: the rollout_percent dial is malformed"),
        (None, "bucket 99999 is outside 0 %: the rollout_percent dial is absent"),
    ],
)
def test_stops_a_job_outside_the_percentage_and_says_why(raw, detail):
    decision = check(a_subject(job_id=LAST_BUCKET), dials(rollout_percent=raw))

    assert (decision.allowed, decision.gate, decision.reason) == (
        False,
        "rollout",
        RolloutReason.ROLLOUT_EXCLUDED,
    )
    assert decision.detail == detail


def test_says_when_the_environment_is_stricter_than_the_dial():
    ceilings = restricted(rollout_percent="10")

    decision = check(a_subject(job_id=LAST_BUCKET), dials(rollout_percent=b"100", ceilings=ceilings))

    assert (
        decision.detail
        == "bucket 99999 is outside 10 %: the rollout_percent dial is overruled by the environment"
    )


def test_does_not_say_absent_of_a_percentage_that_nobody_read():
    decision = check(a_subject(job_id=FIRST_BUCKET), Controls.unreadable("Redis did not answer"))

    assert decision.detail == "bucket 0 is outside 0 %: the rollout_percent dial could not be read"


@pytest.mark.parametrize("job_id", ["\ud800", "job-\udfff", "\udc80" * 3])
def test_an_id_without_utf8_is_in_no_percentage_and_raises_nothing(job_id):
    decision = check(a_subject(job_id=job_id), dials(rollout_percent=b"100"))

    assert decision.reason is RolloutReason.ROLLOUT_EXCLUDED
