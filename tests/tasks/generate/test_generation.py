"""One admitted job on its way: cache, spend cap, brake, attempts, acceptance, money."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from gates import Controls
from tasks import executor_config
from tasks.errors import Deferred, ErrorCode, ModelError
from tasks.ports import Claim, TokenUsage
from tests.builders import a_job, a_spec, controls
from tests.fakes import clock
from tests.fakes.ports import FakeBudget, FakeModel, answer
from tests.tasks.generate.use_case import UseCase


def retryable(code=ErrorCode.OPENAI_SERVER_ERROR, **changes):
    return ModelError(code, retryable=True, **changes)


class TestCache:
    def test_serves_the_same_job_from_the_store_without_a_second_request(self):
        case = UseCase()

        first, second = case.run(a_spec()), case.run(a_spec())

        assert first[0]["output"] == second[0]["output"]
        assert len(case.model.requests) == 1
        assert case.cache == ["miss", "hit"]
        assert case.outcomes == [("COMPLETED", None, "openai"), ("COMPLETED", None, "stub")]
        assert [record[4].cached for record in case.records] == [False, True]

    @pytest.mark.parametrize(
        "changed",
        [
            a_spec(a_job("job-2")),
            a_spec(a_job(input={"topic": "Osmosis"})),
            a_spec(a_job(sources=["textbook"])),
            a_spec(
                appliesTo={
                    "subject": "Biology",
                    "level": "GCSE",
                    "board": "AQA",
                    "specVersion": "8461",
                    "topic": "x",
                }
            ),
        ],
        ids=["jobId", "input", "sources", "appliesTo"],
    )
    def test_a_changed_job_is_a_new_job(self, changed):
        case = UseCase()

        case.run(a_spec())
        case.run(changed)

        assert len(case.model.requests) == 2

    def test_a_new_executor_version_asks_again(self):
        case = UseCase()
        case.run(a_spec())
        case.changes = {"version": "next"}

        case.run(a_spec())

        assert len(case.model.requests) == 2

    def test_review_metadata_is_not_part_of_the_job(self):
        case = UseCase()
        case.run(a_spec())

        case.run(a_spec(metadata={"requiresReview": False, "allowAI": True}))

        assert len(case.model.requests) == 1

    @pytest.mark.parametrize("stored", [42, "<svg/onload=alert(1)>"])
    def test_a_stored_answer_that_would_not_be_accepted_is_a_miss(self, stored):
        case = UseCase()
        case.run(a_spec())
        case.answers.stored = dict.fromkeys(case.answers.stored, stored)

        (result,) = case.run(a_spec())

        assert result["output"] == {"body": "A cell has a membrane."}
        assert case.cache == ["miss", "miss"]

    def test_stub_and_failed_are_never_kept(self):
        case = UseCase(model=FakeModel([answer(refused=True, text=None)]))

        case.run(a_spec())

        assert case.answers.stored == {}

    def test_an_answer_that_cannot_be_stored_is_still_delivered(self):
        case = UseCase()
        case.answers.writable = False

        (result,) = case.run(a_spec())

        assert result["status"] == "COMPLETED"
        assert case.cache == ["miss", "store_failed"]


class TestAttempts:
    def test_tries_again_where_a_retry_can_help(self):
        case = UseCase(model=FakeModel([retryable(), retryable(), answer()]))

        case.run(a_spec())

        assert case.outcomes == [("COMPLETED", None, "openai")]
        assert case.records[0][4].attempts == 3

    def test_gives_up_after_the_configured_attempts_with_the_last_error(self):
        case = UseCase(model=FakeModel([retryable(ErrorCode.OPENAI_RATE_LIMITED)]))

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_RATE_LIMITED", "openai")]
        assert len(case.model.requests) == 3

    def test_never_retries_a_terminal_error(self):
        case = UseCase(model=FakeModel([ModelError(ErrorCode.OPENAI_QUOTA_EXHAUSTED)]))

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_QUOTA_EXHAUSTED", "openai")]
        assert len(case.model.requests) == 1

    def test_waits_at_least_as_long_as_the_server_asks(self):
        times = []

        async def limited():
            times.append(clock.now_mono())
            raise retryable(ErrorCode.OPENAI_RATE_LIMITED, retry_after_seconds=20)

        async def fine():
            times.append(clock.now_mono())
            return answer()

        case = UseCase(model=FakeModel([limited, fine]))

        case.run(a_spec())

        assert times == [0, 20]
        assert case.outcomes == [("COMPLETED", None, "openai")]

    def test_a_wait_that_nobody_would_wait_ends_the_job_at_once(self):
        error = retryable(ErrorCode.OPENAI_RATE_LIMITED, retry_after_seconds=3600)
        case = UseCase(model=FakeModel([error]))

        case.run(a_spec())

        assert len(case.model.requests) == 1
        assert case.outcomes == [("FAILED", "OPENAI_RATE_LIMITED", "openai")]

    def test_a_wait_beyond_the_deadline_puts_the_job_off_or_fails_where_it_may_not(self):
        error = retryable(ErrorCode.OPENAI_RATE_LIMITED, retry_after_seconds=30)
        changes = {"job_deadline_seconds": 29}
        case = UseCase(model=FakeModel([error]), changes=changes)

        with pytest.raises(Deferred):
            case.run(a_spec(), may_defer=True)
        assert case.records == []
        assert (case.claims.holders, sum(case.claims.attempts.values())) == ({}, 0)

        late = UseCase(model=FakeModel([error]), changes=changes)
        late.run(a_spec())
        assert late.outcomes == [("FAILED", "OPENAI_RATE_LIMITED", "openai")]

    def test_the_deadline_is_for_the_whole_job(self):
        async def never():
            await asyncio.Event().wait()

        case = UseCase(model=FakeModel([never]))

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_TIMEOUT", "openai")]
        assert case.model.cancelled == 1


class TestOpening:
    def test_a_job_that_comes_before_the_model_is_ready_waits_with_nothing_reserved(self):
        case, seen = UseCase(), []

        async def open_slowly():
            await asyncio.sleep(2)
            seen.append((dict(case.budget.reservations), dict(case.claims.attempts), case.controls.reads))

        case.model.opening = open_slowly

        case.run(a_spec())

        assert case.outcomes == [("COMPLETED", None, "openai")]
        # One read of the dials admitted it; the one right before the request comes after the wait.
        assert seen == [({}, {}, 1)]
        assert case.controls.reads == 2

    def test_a_halt_reaches_a_job_that_waits_for_the_model_and_costs_nothing(self):
        case = UseCase()

        async def halt_and_never_open():
            case.brake.engage(ErrorCode.KILL_SWITCH)
            await asyncio.Event().wait()

        case.model.opening = halt_and_never_open

        case.run(a_spec())

        assert [record[2] for record in case.records] == ["KILL_SWITCH"]
        assert (case.budget.spent, case.model.requests) == (0, [])

    def test_a_model_that_cannot_be_opened_is_a_bug_that_costs_nothing(self):
        case = UseCase()

        async def fail():
            raise ImportError("no such SDK")

        case.model.opening = fail

        case.run(a_spec())

        assert [record[2] for record in case.records] == ["INTERNAL_ERROR"]
        assert [type(bug) for bug in case.bugs] == [ImportError]
        assert (case.budget.spent, case.claims.holders) == (0, {})

    def test_a_model_that_is_never_ready_ends_with_the_jobs_deadline(self):
        case = UseCase()
        case.model.opening = asyncio.Event().wait

        case.run(a_spec())

        assert [record[2] for record in case.records] == ["OPENAI_TIMEOUT"]


class TestBrake:
    def test_reads_the_dial_again_right_before_every_request(self):
        case = UseCase(model=FakeModel([retryable(), answer()]))

        def engage_after_the_first_request(_: int) -> None:
            if case.model.requests:
                case.controls.current = controls(kill=b"true")

        case.controls.on_read = engage_after_the_first_request

        case.run(a_spec())

        assert len(case.model.requests) == 1
        assert case.outcomes == [("STUB", "KILL_SWITCH", "openai")]

    def test_a_read_that_sees_the_brake_halts_the_others_in_flight_too(self):
        case = UseCase()

        async def in_flight():
            case.controls.current = controls(kill=b"true")
            await asyncio.Event().wait()

        case.model.script = [in_flight, retryable()]

        results = case.run(a_spec(a_job("a"), a_job("b")))

        assert {result["status"] for result in results} == {"STUB"}
        assert {record[2] for record in case.records} == {"KILL_SWITCH"}

    @pytest.mark.parametrize("reason", [ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED])
    def test_cancels_the_call_in_flight(self, reason):
        case = UseCase()

        async def pull_the_brake():
            case.brake.engage(reason)
            await asyncio.Event().wait()

        case.model.script = [pull_the_brake]

        (result,) = case.run(a_spec())

        assert result["status"] == "STUB"
        assert case.outcomes == [("STUB", reason.value, "openai")]
        assert case.model.cancelled == 1
        assert [number for number, _ in case.halts] == [1]
        assert case.answers.stored == {}


class TestMoney:
    def test_refuses_a_call_whose_worst_case_the_cap_does_not_cover(self):
        case = UseCase(budget=FakeBudget(cap_nano_usd=1000))

        case.run(a_spec())

        assert case.outcomes == [("STUB", "BUDGET_EXCEEDED", "stub")]
        assert re.fullmatch(
            r"a call may cost \$0\.0\d{3}, which is more than the whole spend cap of <\$0\.0001; "
            r"raise it \(slotgen budget set USD\), or lower maxOutputTokens in the executor config",
            case.records[0][4].detail,
        )
        assert case.model.requests == []

    def test_a_request_that_is_too_long_is_no_question_of_money(self):
        case = UseCase(changes={"max_input_tokens": 2048})

        case.run(a_spec(a_job(input={"text": "é" * 1024})))

        assert case.outcomes == [("STUB", "INPUT_TOO_LONG", "stub")]
        sentence = r"has (\d+) bytes.* maxInputTokens is 2048; shorten input and sources by (\d+) bytes"
        size, over = map(int, re.search(sentence, case.records[0][4].detail).groups())
        assert size - over == 2048
        assert (case.model.requests, case.budget.amounts) == ([], [])

    def test_settles_at_the_real_cost(self):
        case = UseCase()

        case.run(a_spec())

        # 100 tokens in at $0.10 and 50 out at $0.50 a million: 10,000 + 25,000 nano-dollars.
        assert (case.budget.spent, case.budget.written_off) == (35_000, 0)
        assert case.budget.reservations == {}
        assert case.records[0][4].cost_nano_usd == 35_000
        assert case.budget.by_rule == {"biology": 35_000}

    @pytest.mark.parametrize(
        ("step", "is_charged"),
        [
            (ModelError(ErrorCode.OPENAI_TIMEOUT, billed=True), True),
            (ModelError(ErrorCode.OPENAI_BAD_REQUEST), False),
            (answer(usage=None), True),
        ],
        ids=["outcome unknown", "refused by the server", "usage unknown"],
    )
    def test_an_unknown_outcome_counts_as_spent(self, step, is_charged):
        case = UseCase(model=FakeModel([step]))

        case.run(a_spec())

        assert (case.budget.spent > 1_000_000) is is_charged
        assert case.budget.written_off == case.budget.spent
        assert case.budget.reservations == {}

    @pytest.mark.parametrize("output_tokens", [10**9, 10**30])
    def test_usage_above_what_was_reserved_is_not_believed(self, output_tokens):
        case = UseCase(model=FakeModel([answer(usage=TokenUsage(100, 0, 0, output_tokens))]))

        case.run(a_spec())

        (reserved,) = case.budget.amounts
        assert (case.budget.spent, case.budget.written_off) == (reserved, reserved)

    def test_usage_of_all_that_was_reserved_is_believed(self):
        size = UseCase()
        size.run(a_spec())
        (request,) = size.model.requests
        # Every byte a token that was written to the cache, served by the dearest tier.
        usage = TokenUsage(request.size_bytes, 0, request.size_bytes, request.max_output_tokens, "priority")
        case = UseCase(model=FakeModel([answer(usage=usage)]), changes={"service_tier": "priority"})

        case.run(a_spec())

        assert ([case.budget.spent], case.budget.written_off) == (case.budget.amounts, 0)

    @pytest.mark.parametrize(
        ("asked", "served"),
        [("default", "priority"), ("default", None), ("priority", "default"), (None, "ultrafast")],
    )
    def test_what_another_tier_served_costs_its_worst_case(self, asked, served):
        model = FakeModel([answer(usage=TokenUsage(100, 0, 0, 50, served))])
        case = UseCase(model=model, changes={"service_tier": asked})

        case.run(a_spec())

        (reserved,) = case.budget.amounts
        assert case.outcomes == [("COMPLETED", None, "openai")]
        assert (case.budget.spent, case.budget.written_off) == (reserved, reserved)

    @pytest.mark.parametrize(
        ("asked", "served", "times"),
        [
            ("default", "default", 1),
            ("flex", "flex", 1),
            ("priority", "priority", 2),
            (None, None, 1),
            (None, "priority", 2),
        ],
    )
    def test_what_the_tier_served_that_was_asked_for_costs_its_price(self, asked, served, times):
        model = FakeModel([answer(usage=TokenUsage(100, 0, 0, 50, served))])
        case = UseCase(model=model, changes={"service_tier": asked})

        case.run(a_spec())

        assert (case.budget.spent, case.budget.written_off) == (35_000 * times, 0)

    def test_a_failure_that_says_what_it_cost_costs_that(self):
        failed = ModelError(
            ErrorCode.OPENAI_BAD_REQUEST, billed=True, usage=TokenUsage(100, 0, 0, 50, "default")
        )
        case = UseCase(model=FakeModel([failed]))

        case.run(a_spec())

        assert (case.budget.spent, case.budget.written_off) == (35_000, 0)

    def test_a_cancelled_call_counts_as_spent(self):
        case = UseCase()

        async def pull_the_brake():
            case.brake.engage(ErrorCode.KILL_SWITCH)
            await asyncio.Event().wait()

        case.model.script = [pull_the_brake]

        case.run(a_spec())

        assert case.budget.spent > 1_000_000
        assert case.budget.written_off == case.budget.spent
        assert case.budget.reservations == {}

    def test_a_reservation_that_the_brake_interrupts_is_settled(self):
        case = UseCase()
        depart = case.steps.depart

        async def slow_depart(departure):
            case.brake.engage(ErrorCode.KILL_SWITCH)
            await clock.idle()  # the cancellation arrives in between
            return await depart(departure)

        case.steps.depart = slow_depart

        async def answered_and_all_quiet():
            await case.answer(a_spec())
            await clock.idle()

        clock.run(answered_and_all_quiet())

        assert case.outcomes == [("STUB", "KILL_SWITCH", "stub")]
        assert (case.budget.spent, case.budget.reservations) == (0, {})

    def test_a_request_that_never_began_costs_nothing(self):
        case = UseCase()
        case.controls.on_read = lambda dial_reader: setattr(
            case.controls, "current", controls(kill=b"true") if dial_reader == 2 else case.controls.current
        )

        case.run(a_spec())

        assert case.outcomes == [("STUB", "KILL_SWITCH", "stub")]
        assert (case.budget.spent, case.budget.reservations) == (0, {})

    def test_an_answer_that_does_not_say_what_it_cost_is_content_all_the_same(self):
        case = UseCase(model=FakeModel([answer(usage=None)]))

        case.run(a_spec())

        assert case.outcomes == [("COMPLETED", None, "openai")]

    def test_each_attempt_is_held_for_by_itself_for_longer_than_the_job_may_take(self):
        case, held = UseCase(model=FakeModel([retryable(), answer()])), []
        depart = case.steps.depart

        def noting_depart(departure):
            held.append(departure)
            return depart(departure)

        case.steps.depart = noting_depart

        case.run(a_spec())

        config = executor_config.load(None)
        (key,) = case.answers.stored
        assert {departure.model for departure in held} == {config.model}
        assert {departure.hold_seconds for departure in held} == {config.job_deadline_seconds + 60}
        assert [departure.reservation_id.partition(":")[0] for departure in held] == [key, key]
        assert held[0].reservation_id != held[1].reservation_id

    def test_the_cost_of_a_job_is_that_of_all_its_attempts(self):
        case = UseCase(model=FakeModel([retryable(billed=True), answer()]))

        case.run(a_spec())

        assert case.budget.written_off > 1_000_000
        assert case.records[0][4].cost_nano_usd == case.budget.spent == case.budget.written_off + 35_000

    def test_a_request_that_cannot_be_proved_off_the_brake_costs_nothing(self):
        case = UseCase()
        unreadable = Controls.unreadable("Redis did not answer")
        case.controls.on_read = lambda dial_reader: setattr(
            case.controls, "current", unreadable if dial_reader == 2 else case.controls.current
        )

        case.run(a_spec())

        assert case.outcomes == [("STUB", "KILL_UNVERIFIED", "stub")]
        assert case.records[0][4].detail == "Redis did not answer"
        assert (case.budget.spent, case.budget.reservations) == (0, {})

    def test_attempts_that_workers_have_died_with_count(self):
        first, case = UseCase(), UseCase(changes={"attempts": 3})
        first.run(a_spec())
        (key,) = first.answers.stored
        case.claims.attempts[key] = 3

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_CONNECTION_ERROR", "stub")]
        assert case.records[0][4].detail == "3 attempts were begun, and some have no outcome"
        assert (case.budget.spent, case.budget.reservations) == (0, {})


class TestAcceptance:
    @pytest.mark.parametrize(
        ("given", "code"),
        [
            (answer(refused=True, text=None), "OUTPUT_REFUSED"),
            (answer(truncated=True), "OUTPUT_TRUNCATED"),
            (answer(truncated=True, text=None), "OUTPUT_TRUNCATED"),
            (answer(text="Here you are: {"), "OUTPUT_NOT_JSON"),
            (answer(text=json.dumps({"value": 7})), "OUTPUT_SCHEMA_INVALID"),
            (answer(text=json.dumps({"content": "x"})), "OUTPUT_SCHEMA_INVALID"),
            (answer(value=" "), "OUTPUT_SCHEMA_INVALID"),
            (answer(value="# Cells"), "OUTPUT_POLICY_VIOLATION"),
        ],
    )
    def test_fails_an_answer_that_is_not_usable(self, given, code):
        case = UseCase(model=FakeModel([given]), changes={"repair_attempts": 0})

        case.run(a_spec())

        assert case.outcomes == [("FAILED", code, "openai")]
        assert len(case.model.requests) == 1
        assert case.budget.spent == 35_000


class TestClaims:
    def test_a_job_that_another_worker_has_is_waited_for_and_served_from_its_answer(self):
        case = UseCase()
        first = UseCase()
        (done,) = first.run(a_spec())
        (key,) = first.answers.stored
        case.claims.holders[key] = "another"

        claim = case.steps.claim

        async def answered_elsewhere(key_asked, token, **asked):
            found = await claim(key_asked, token, **asked)
            case.answers.stored[key] = first.answers.stored[key]
            case.claims.holders.pop(key, None)
            return found

        case.steps.claim = answered_elsewhere

        (result,) = case.run(a_spec())

        assert result["output"] == done["output"]
        assert case.model.requests == []
        assert case.records[0][4].cached

    @pytest.mark.parametrize("is_answered", [True, False])
    def test_a_job_that_was_overtaken_before_its_request_begins_again_with_its_claim(self, is_answered):
        case, first = UseCase(), UseCase()
        first.run(a_spec())
        (key,) = first.answers.stored
        depart, departed = case.steps.depart, []

        async def overtaken(departure):
            if not departed:
                del case.claims.holders[key]
                if is_answered:
                    case.answers.stored[key] = first.answers.stored[key]
            departed.append(await depart(departure))
            return departed[-1]

        case.steps.depart = overtaken

        case.run(a_spec())

        assert case.outcomes == [("COMPLETED", None, "stub" if is_answered else "openai")]
        assert [each.left for each in departed] == ([False] if is_answered else [False, True])
        assert len(case.model.requests) == (0 if is_answered else 1)
        assert case.claims.holders == {}

    def test_a_claim_that_never_comes_free_ends_with_the_deadline(self):
        case = UseCase()
        case.steps.claim = never_free

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_TIMEOUT", "stub")]

    def test_nothing_is_sent_when_nobody_can_say_who_has_the_job(self):
        case = UseCase()
        case.claims.available = False

        case.run(a_spec())

        assert case.outcomes == [("STUB", "KILL_UNVERIFIED", "stub")]
        assert case.model.requests == []

    def test_attempts_that_a_lost_worker_began_count(self):
        before = UseCase()
        before.run(a_spec())
        (key,) = before.answers.stored
        case = UseCase()
        case.claims.attempts[key] = 3

        case.run(a_spec())

        assert case.outcomes == [("FAILED", "OPENAI_CONNECTION_ERROR", "stub")]
        assert case.model.requests == []

    def test_an_outcome_gives_the_claim_back_and_clears_the_ledger(self):
        case = UseCase(model=FakeModel([retryable(), answer()]))

        case.run(a_spec())

        assert (case.claims.holders, case.claims.attempts) == ({}, {})

    def test_a_job_that_is_cancelled_without_an_outcome_stays_in_the_ledger(self):
        case = UseCase(model=FakeModel([asyncio.CancelledError()]))

        with pytest.raises(asyncio.CancelledError):
            case.run(a_spec())

        assert case.claims.holders == {}
        assert list(case.claims.attempts.values()) == [1]
        assert case.records == []


async def never_free(key, token, **asked):
    return Claim(ours=False)
