"""Whatever order workers take the steps of their jobs in, crash and come back, the promises hold after each.

Every step is the product's own on a real Redis. Only workers are acted, one step at a time, so that each can
be cut short, said twice, or be overtaken by any other.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum, auto

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.delivery import Answer
from tasks.ports import Arrival, Departure, Ending, Settlement
from tests.builders import a_job, a_spec
from tests.faults.rig.length import in_full
from tests.redis_server.server import EmbeddedRedis
from tests.worker.adapters.redis.acting_worker import NAMESPACE, ActingWorker, Workshop, again, new_token
from tests.worker.client.test_results import RESULT
from worker.adapters.celery.redelivery import held_message
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.keys import (
    ANSWER,
    BUDGET,
    BUDGET_EXPIRY,
    BUDGET_HOLDS,
    CLAIM,
    DEAD,
    HISTORY,
    RESULTS,
    TASK_META,
    UNACKED,
    UNACKED_INDEX,
    WORKERS,
    WORKERS_RESUMED,
)
from worker.adapters.redis.message import raw_message

EXAMPLES, STEPS = in_full(2000, short=100), 25
JOBS = ("a", "b")
CAP, WORST, LARGE, COST = 70, 15, 60, 7
WINDOW_START = 10**9  # until the year 2033
MOST_TASKS, MOST_BEGUN = 12, 4
BEFALLS = (
    "crash",
    "fall_silent",
    "fall_silent",
    "fall_silent",
    "be_heard",
    "connect_again",
    "stop_in_order",
    "be_overdue",
)
PICK = st.integers(0, 2**20)
TWICE = st.sampled_from([1, 2])


class At(StrEnum):
    """How far a worker has come with a message."""

    TAKEN = auto()
    CLAIMED = auto()
    DEPARTED = auto()
    REQUESTED = auto()
    ENDED = auto()


@dataclass(eq=False)
class Holding:
    """One message in the hands of one worker. `cost` is what the request at the model was billed."""

    worker: ActingWorker
    tag: str
    task_id: str
    job: str
    at: At = At.TAKEN
    token: str = field(default_factory=new_token)
    reservation_id: str = ""
    begun: int = 0
    status: str = "STUB"

    def answer(self) -> Answer:
        reasons = {"version": "v1", "executorVersion": "7", "requiresReview": False, "errorCodes": [None]}
        return Answer([RESULT | {"jobId": self.job, "status": self.status}], reasons)


@dataclass
class Reservation:
    """What is known of one request's money, and whether the model was asked, and gave a usable answer."""

    job: str
    amount: int
    kept_as: str = "held"
    billed: int = 0
    answered: bool = False
    overdue: bool = False


@dataclass
class Seen:
    """What Redis has at one moment. Of a held message the raw text is kept."""

    waiting: list[bytes]
    held: dict[bytes, bytes]
    index: set[bytes]
    dead: list[bytes]
    delivered: Counter[str]
    noted: Counter[str]
    results: set[str]
    account: dict[str, int]
    holds: set[str]
    answers: dict[str, bytes | None]

    @classmethod
    def of(cls, client: redis.Redis, task_ids: list[str]) -> Seen:
        kinds = ("held", "spent", "written_off")
        pipe = client.pipeline(transaction=False)
        pipe.lrange(NAMESPACE, 0, -1)
        pipe.hgetall(UNACKED(NAMESPACE))
        pipe.zrange(UNACKED_INDEX(NAMESPACE), 0, -1)
        for each in (DEAD, RESULTS, HISTORY):
            pipe.xrange(each(NAMESPACE))
        pipe.hmget(BUDGET(NAMESPACE, WINDOW_START), kinds)
        pipe.hkeys(BUDGET_HOLDS(NAMESPACE))
        pipe.mget([ANSWER(NAMESPACE, job) for job in JOBS])
        pipe.mget(["none", *map(TASK_META, task_ids)])
        waiting, held, index, dead, delivered, noted, sums, holds, answers, results = pipe.execute()
        return cls(
            waiting,
            {tag: held_message(each, NAMESPACE) for tag, each in held.items()},
            set(index),
            [fields[b"message"] for _, fields in dead],
            Counter(json.loads(fields[b"delivery"])["taskId"] for _, fields in delivered),
            # The fields of its subject come first.
            Counter(json.loads(fields[b"o"])[8] for _, fields in noted),
            {task_id for task_id, kept in zip(task_ids, results[1:], strict=True) if kept},
            {kind: int(each or 0) for kind, each in zip(kinds, sums, strict=True)},
            {rid.decode() for rid in holds},
            dict(zip(JOBS, answers, strict=True)),
        )


def task_of(raw: bytes) -> str:
    return json.loads(raw)["headers"]["id"]


class JobSteps(RuleBasedStateMachine):
    """`shop` is set by the test; each example begins with an empty Redis and two workers."""

    shop: Workshop

    def __init__(self) -> None:
        super().__init__()
        self.client = self.shop.client
        self.client.flushall()
        self.workers: list[ActingWorker] = []
        self.holdings: list[Holding] = []
        self.sent: dict[str, str] = {}
        self.money: dict[str, Reservation] = {}

    @initialize(copies=st.integers(2, 4))
    def begin(self, copies: int) -> None:
        """Two workers have the same job in hand, each under a task of its own."""
        for worker in range(2):
            self.start_worker()
            self.enqueue(JOBS[0], copies)
            self.take(worker, copies, is_heard=True)

    # What workers do in order.

    @precondition(lambda self: len(self.living()) < 2)
    @rule()
    def start_worker(self) -> None:
        self.workers.append(ActingWorker(self.shop, f"w{len(self.workers)}", CAP))

    @precondition(lambda self: len(self.sent) < MOST_TASKS)
    @rule(job=st.sampled_from(JOBS), copies=st.integers(1, 3))
    def enqueue(self, job: str, copies: int) -> None:
        for _ in range(copies):
            task_id = f"t{len(self.sent)}-{uuid.uuid4()}"
            self.sent[task_id] = job
            self.client.lpush(NAMESPACE, raw_message(a_spec(a_job(job)), task_id, NAMESPACE))

    @precondition(lambda self: self.living())
    @rule(pick=PICK, places=st.integers(1, 3), is_heard=st.sampled_from([True, True, True, False]))
    def take(self, pick: int, places: int, is_heard: bool) -> None:
        worker = self.living()[pick % len(self.living())]
        for tag, raw in worker.take(places, is_heard=is_heard).items():
            task_id = task_of(raw)
            self.holdings.append(Holding(worker, tag, task_id, self.sent[task_id]))

    @precondition(lambda self: self.those(At.TAKEN))
    @rule(pick=PICK, times=TWICE)
    def decide_to_stub(self, pick: int, times: int) -> None:
        holding = self.one(pick, At.TAKEN)
        holding.at = At.ENDED
        self.finish(self.those(At.ENDED).index(holding), times)

    @precondition(lambda self: self.those(At.TAKEN))
    @rule(pick=PICK, times=TWICE)
    def claim(self, pick: int, times: int) -> None:
        holding = self.one(pick, At.TAKEN)
        claims = again(lambda: holding.worker.claim(holding.job, holding.token), times)
        assert claims == claims[:1] * times
        if claims[0].stored:
            holding.at, holding.status = At.ENDED, "COMPLETED"
        elif claims[0].ours:
            holding.at = At.CLAIMED

    @precondition(lambda self: self.those(At.CLAIMED))
    @rule(pick=PICK, times=TWICE, worst=st.sampled_from([WORST, WORST, LARGE]))
    def depart(self, pick: int, times: int, worst: int) -> None:
        holding = self.one(pick, At.CLAIMED)
        rid = f"{holding.job}:{uuid.uuid4().hex}"
        departure = Departure(holding.job, rid, "gpt", worst, 600, MOST_BEGUN, holding.token)
        is_answered = self.client.exists(ANSWER(NAMESPACE, holding.job))
        self.write_off_overdue()
        said = again(lambda: holding.worker.depart(departure), times)
        assert said == said[:1] * times
        if said[0].unclaimed:
            holding.at = At.TAKEN
        elif said[0].left:
            holding.at, holding.reservation_id, holding.begun = At.DEPARTED, rid, said[0].begun
            self.money[rid] = Reservation(holding.job, worst)
            assert not is_answered, "a request leaves for a job whose answer is stored"
            assert self.others_on_their_way(holding) == [], "two requests for one job leave at once"
        else:
            self.end(holding, "FAILED" if said[0].begun else "STUB", concluded=True)

    @precondition(lambda self: self.those(At.DEPARTED))
    @rule(pick=PICK, times=TWICE)
    def be_forbidden(self, pick: int, times: int) -> None:
        """The dials, read after the departure, forbid the request."""
        holding = self.one(pick, At.DEPARTED)
        self.settle(holding, 0, known=True, times=times, ending=Ending(holding.token, concluded=True))
        holding.at = At.ENDED

    @precondition(lambda self: self.those(At.DEPARTED))
    @rule(pick=PICK, billed=st.sampled_from([COST, COST, COST, WORST]))
    def request(self, pick: int, billed: int) -> None:
        holding = self.one(pick, At.DEPARTED)
        self.money[holding.reservation_id].billed = billed
        holding.at = At.REQUESTED

    @precondition(lambda self: self.those(At.REQUESTED))
    @rule(pick=PICK, times=TWICE, is_cost_known=st.sampled_from([True, True, False]))
    def arrive_with_an_answer(self, pick: int, times: int, is_cost_known: bool) -> None:
        holding = self.one(pick, At.REQUESTED)
        reservation = self.money[holding.reservation_id]
        reservation.answered = True
        self.settle(
            holding,
            reservation.billed if is_cost_known else reservation.amount,
            known=is_cost_known,
            times=times,
            answer=json.dumps(holding.job),
            ending=Ending(holding.token, concluded=True),
        )
        holding.at, holding.status = At.ENDED, "COMPLETED"

    @precondition(lambda self: self.those(At.REQUESTED))
    @rule(pick=PICK, times=TWICE, is_cost_known=st.booleans(), is_last=st.booleans())
    def arrive_without_one(self, pick: int, times: int, is_cost_known: bool, is_last: bool) -> None:
        """What came cannot be used, or was cut off, when nobody knows what it has cost."""
        holding = self.one(pick, At.REQUESTED)
        reservation = self.money[holding.reservation_id]
        spent = reservation.billed if is_cost_known else reservation.amount
        ending = Ending(holding.token, concluded=True) if is_last else None
        self.settle(holding, spent, known=is_cost_known, times=times, ending=ending)
        holding.at, holding.status = (At.ENDED, "FAILED") if is_last else (At.CLAIMED, "STUB")

    @precondition(lambda self: self.those(At.DEPARTED))
    @rule(pick=PICK, times=TWICE)
    def arrive_refused(self, pick: int, times: int) -> None:
        """The server had no room: nothing is billed, and the attempt is taken back."""
        holding = self.one(pick, At.DEPARTED)
        self.settle(holding, 0, known=True, times=times, taken_back=holding.begun)
        holding.at = At.CLAIMED

    @precondition(lambda self: self.those(At.ENDED))
    @rule(pick=PICK, times=TWICE)
    def finish(self, pick: int, times: int) -> None:
        holding = self.one(pick, At.ENDED)
        again(lambda: holding.worker.finish(holding.tag, holding.task_id, holding.answer()), times)
        assert self.client.exists(TASK_META(holding.task_id)), "it was finished, and has no result"
        assert not self.client.hexists(UNACKED(NAMESPACE), holding.tag), "it was finished, and is held"
        self.holdings.remove(holding)

    @precondition(lambda self: self.those(At.CLAIMED))
    @rule(pick=PICK)
    def put_off(self, pick: int) -> None:
        holding = self.one(pick, At.CLAIMED)
        self.end(holding, "", concluded=False)
        holding.worker.put_off(holding.tag)
        self.holdings.remove(holding)

    @precondition(lambda self: self.holdings)
    @rule(pick=PICK, steps=st.integers(1, 6), worst=st.sampled_from([WORST, LARGE]))
    def go_on(self, pick: int, steps: int, worst: int) -> None:
        """Take several steps as they mostly come: without it few jobs would come as far as their answer."""
        self.advance(self.holdings[pick % len(self.holdings)], steps, worst)

    @precondition(lambda self: self.pairs())
    @rule(pick=PICK, steps=st.sampled_from([1, 1, 2, 6]), steps_then=st.sampled_from([0, 0, 1, 6]))
    def overtake(self, pick: int, steps: int, steps_then: int) -> None:
        """One worker falls silent on its way, another goes on with a copy of its job, then the first does."""
        first, second = self.pairs()[pick % len(self.pairs())]
        self.fall_silent(self.workers.index(first.worker))
        self.advance(second, steps)
        self.advance(first, steps_then)

    def advance(self, holding: Holding, steps: int, worst: int = WORST) -> None:
        before = None
        for _ in range(steps):
            if holding not in self.holdings or holding.at is before:
                return
            before, place = holding.at, self.those(holding.at).index(holding)
            match before:
                case At.TAKEN:
                    self.claim(place, 1)
                case At.CLAIMED:
                    self.depart(place, 1, worst)
                case At.DEPARTED:
                    self.request(place, COST)
                case At.REQUESTED:
                    self.arrive_with_an_answer(place, 1, is_cost_known=True)
                case At.ENDED:
                    self.finish(place, 1)

    # What befalls them, as seldom, all together, as one of their steps.

    @rule(what=st.sampled_from(BEFALLS), pick=PICK)
    def befall(self, what: str, pick: int) -> None:
        if self.living() and self.holdings:
            getattr(self, what)(pick)

    def stop_in_order(self, pick: int) -> None:
        """A shutdown: what has not ended goes back; what was cut off may have cost anything."""
        worker = self.living()[pick % len(self.living())]
        for holding in [each for each in self.holdings if each.worker is worker]:
            ending = Ending(holding.token, concluded=False)
            if holding.at in {At.DEPARTED, At.REQUESTED}:
                is_sent = holding.at is At.REQUESTED
                worst = self.money[holding.reservation_id].amount
                self.settle(holding, worst if is_sent else 0, known=not is_sent, ending=ending)
            elif holding.at is At.CLAIMED:
                self.end(holding, "", concluded=False)
            worker.give_back(holding.tag)
            self.holdings.remove(holding)
        worker.alive = False

    def crash(self, pick: int) -> None:
        """Kill -9: what it holds and has claimed stays."""
        worker = self.living()[pick % len(self.living())]
        worker.alive = False
        self.holdings = [each for each in self.holdings if each.worker is not worker]

    def fall_silent(self, pick: int) -> None:
        """One is not heard for long, dead or only frozen; the others are."""
        silent = self.workers[pick % len(self.workers)]
        now = self.client.time()[0]
        if self.client.exists(WORKERS_RESUMED(NAMESPACE)):
            self.client.set(WORKERS_RESUMED(NAMESPACE), now - 10**6)
        for each in self.living():
            each.beat()
        self.client.zadd(WORKERS(NAMESPACE), {silent.worker_id: now - 10**6}, xx=True)
        silent.suspected = True

    def be_heard(self, pick: int) -> None:
        self.living()[pick % len(self.living())].beat()

    @precondition(lambda self: self.living())
    @rule(pick=PICK)
    def look_for_the_lost(self, pick: int) -> None:
        worker = self.living()[pick % len(self.living())]
        worker.beat()
        worker.look()

    def connect_again(self, pick: int) -> None:
        """A broken connection: what the worker holds goes back, and it works on."""
        self.living()[pick % len(self.living())].connect()

    def be_overdue(self, pick: int) -> None:
        tag = self.holdings[pick % len(self.holdings)].tag
        self.client.zadd(UNACKED_INDEX(NAMESPACE), {tag: 1}, xx=True)

    @precondition(lambda self: self.money)
    @rule()
    def let_holds_run_out(self) -> None:
        for rid, each in self.money.items():
            each.overdue |= self.client.zadd(BUDGET_EXPIRY(NAMESPACE), {rid: 1}, xx=True, ch=True) == 1

    # What holds after each step.

    @invariant()
    def the_promises_hold(self) -> None:
        seen = Seen.of(self.client, list(self.sent))
        self.every_message_is_in_one_place_and_has_a_result_when_it_is_in_none(seen)
        self.what_was_billed_is_booked_and_no_more_than_the_cap(seen)
        self.an_answer_that_was_paid_for_is_kept(seen)

    def every_message_is_in_one_place_and_has_a_result_when_it_is_in_none(self, seen: Seen) -> None:
        assert seen.held.keys() == seen.index
        places = Counter(map(task_of, (*seen.waiting, *seen.held.values(), *seen.dead)))
        for task_id in self.sent:
            there, ended = places[task_id], seen.delivered[task_id]
            assert there + ended == 1, f"{task_id} is in {there} places, and has ended {ended} times"
            assert seen.noted[task_id] == ended, f"{task_id} is {seen.noted[task_id]} times in the history"
            assert not ended or task_id in seen.results, f"{task_id} was acknowledged, and has no result"

    def what_was_billed_is_booked_and_no_more_than_the_cap(self, seen: Seen) -> None:
        assert seen.account == {
            what: sum(each.amount for each in self.money.values() if each.kept_as == what)
            for what in seen.account
        }
        total = sum(seen.account.values())
        assert sum(each.billed for each in self.money.values()) <= total <= CAP
        assert seen.holds == {rid for rid, each in self.money.items() if each.kept_as == "held"}

    def an_answer_that_was_paid_for_is_kept(self, seen: Seen) -> None:
        for each in self.money.values():
            assert not each.answered or seen.answers[each.job] == json.dumps(each.job).encode()

    def teardown(self) -> None:
        """Everybody dies, and one worker more brings every message to its end."""
        if not self.workers:
            return
        for each in self.living():
            each.alive = False
        self.holdings.clear()
        self.start_worker()
        for each in self.workers[:-1]:
            self.client.zadd(WORKERS(NAMESPACE), {each.worker_id: 1}, xx=True)
        self.client.set(WORKERS_RESUMED(NAMESPACE), 1)
        self.workers[-1].look()
        while taken := self.workers[-1].take(3):
            for tag, raw in taken.items():
                task_id = task_of(raw)
                holding = Holding(self.workers[-1], tag, task_id, self.sent[task_id])
                holding.worker.finish(tag, task_id, holding.answer())
        self.the_promises_hold()
        seen = Seen.of(self.client, list(self.sent))
        left = (seen.waiting, list(seen.held), self.sent.keys() - seen.results)
        assert left == ([], [], set()), (
            f"{left} has no end, known are {self.client.zrange(WORKERS(NAMESPACE), 0, -1)}"
        )

    # What the machine knows.

    def living(self) -> list[ActingWorker]:
        return [each for each in self.workers if each.alive]

    def pairs(self) -> list[tuple[Holding, Holding]]:
        """Return each holding on its way with every one that waits for the same job in another worker."""
        return [
            (first, second)
            for first in self.holdings
            if first.at in {At.CLAIMED, At.DEPARTED, At.REQUESTED}
            for second in self.those(At.TAKEN)
            if second.job == first.job and second.worker is not first.worker
        ]

    def those(self, at: At) -> list[Holding]:
        return [each for each in self.holdings if each.at is at]

    def one(self, pick: int, at: At) -> Holding:
        return self.those(at)[pick % len(self.those(at))]

    def others_on_their_way(self, holding: Holding) -> list[Holding]:
        """Return what is on its way for the same job in a worker that was never silent."""
        on_the_way = {At.DEPARTED, At.REQUESTED}
        return [
            each
            for each in self.holdings
            if each is not holding
            and each.job == holding.job
            and each.at in on_the_way
            and not each.worker.suspected
        ]

    def write_off_overdue(self) -> None:
        for each in self.money.values():
            if each.overdue and each.kept_as == "held":
                each.kept_as = "written_off"

    def settle(self, holding: Holding, spent: int, *, known: bool, times: int = 1, **parts: object) -> None:
        """Arrive with what a request has cost; what ran out before stays written off."""
        self.write_off_overdue()
        reservation = self.money[holding.reservation_id]
        if reservation.kept_as == "held":
            reservation.kept_as, reservation.amount = "spent" if known else "written_off", spent
        settlement = Settlement(holding.reservation_id, spent, known)
        arrival = Arrival(holding.job, settlement=settlement, model="gpt", **parts)
        again(lambda: holding.worker.arrive(arrival), times)
        if arrival.ending:
            self.assert_given_back(holding)

    def end(self, holding: Holding, status: str, *, concluded: bool) -> None:
        """Arrive with nothing but the end of the job."""
        holding.worker.arrive(Arrival(holding.job, ending=Ending(holding.token, concluded)))
        self.assert_given_back(holding)
        holding.at, holding.status = At.ENDED, status

    def assert_given_back(self, holding: Holding) -> None:
        holder = self.client.get(CLAIM(NAMESPACE, holding.job)) or b""
        assert not holder.endswith(holding.token.encode()), "the job has ended, and is still claimed"


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        workshop = Workshop.at(server.url, client)
        yield workshop
        workshop.close()


@pytest.mark.timeout(in_full(3600, short=120))
def test_the_promises_hold_after_every_step(shop: Workshop) -> None:
    machine = type("JobStepsThere", (JobSteps,), {"shop": shop})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
    )
