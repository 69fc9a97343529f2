"""`python tests/benchmarks/rules/flags.py`: what one local evaluation costs other systems' clients, as JSON.

Runs in an environment of its own (`make bench` makes it), where nothing of slotgen is. Each has one flag with
the five conditions of an allowlist rule and a share of 100 %, evaluated offline for one job that it lets
through. The figures are CPU µs, the best of five rounds.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import warnings

ROUNDS, NUMBER = 5, 3000
JOB = {"subject": "Biology", "level": "GCSE", "board": "AQA", "specVersion": "8461", "jobKind": "explanatory"}


def microseconds(evaluate) -> float:
    """Return the CPU time of this thread for one call."""
    assert evaluate() is True
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(NUMBER):
            evaluate()
        best = min(best, time.thread_time() - began)
    return best / NUMBER * 1e6


def growthbook(_):
    from growthbook import GrowthBook

    rule = {"condition": {name: {"$in": [value]} for name, value in JOB.items()}, "force": True}
    rule |= {"coverage": 1.0, "hashAttribute": "id"}
    features = {"slot": {"defaultValue": False, "rules": [rule]}}
    client = GrowthBook(attributes=JOB | {"id": "job-1"}, features=features)
    return lambda: client.is_on("slot")


def launchdarkly(_):
    import ldclient
    from ldclient import Context
    from ldclient.config import Config
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    (name, value), *others = JOB.items()
    rule = data.flag("slot").fallthrough_variation(False).if_match(name, value)
    for name, value in others:
        rule = rule.and_match(name, value)
    data.update(rule.then_return(True))
    client = ldclient.LDClient(Config("none", update_processor_class=data, send_events=False))
    context = Context.builder("job-1")
    for name, value in JOB.items():
        context.set(name, value)
    built = context.build()
    return lambda: client.variation("slot", built, False)


def unleash(folder):
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    constraints = [{"contextName": name, "operator": "IN", "values": [value]} for name, value in JOB.items()]
    rollout = {"rollout": "100", "stickiness": "userId", "groupId": "slot"}
    strategy = {"name": "flexibleRollout", "parameters": rollout, "constraints": constraints}
    cache = FileCache("slot", directory=folder)
    cache.bootstrap_from_dict(
        {"version": 1, "features": [{"name": "slot", "enabled": True, "strategies": [strategy]}]}
    )
    client = UnleashClient(
        "http://127.0.0.1:1", "bench", cache=cache, disable_metrics=True, disable_registration=True
    )
    client.initialize_client(fetch_toggles=False)
    context = {"userId": "job-1", "properties": JOB}
    return lambda: client.is_enabled("slot", context)


def posthog(_):
    from posthog import Posthog

    conditions = [
        {"key": name, "value": [value], "operator": "exact", "type": "person"} for name, value in JOB.items()
    ]
    groups = [{"rollout_percentage": 100, "properties": conditions}]
    client = Posthog("none", host="http://127.0.0.1:1", sync_mode=True, send=False)
    flag = {"id": 1, "key": "slot", "active": True, "filters": {"groups": groups}}
    client.feature_flags, client.feature_flags_by_key = [flag], {"slot": flag}
    return lambda: client.get_feature_flag(
        "slot",
        "job-1",
        person_properties=JOB,
        only_evaluate_locally=True,
        send_feature_flag_events=False,
    )


def main() -> None:
    """Print `{name: microseconds}`."""
    warnings.simplefilter("ignore")
    logging.disable()
    clients = {
        "GrowthBook": growthbook,
        "LaunchDarkly": launchdarkly,
        "PostHog": posthog,
        "Unleash": unleash,
    }
    with tempfile.TemporaryDirectory() as folder:
        found = {name: microseconds(make(folder)) for name, make in clients.items()}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    # Their background threads have nothing to say any more.
    os._exit(0)


if __name__ == "__main__":
    main()
