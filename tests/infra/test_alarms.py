"""The alarms: made of what the service logs, and of what its queues tell."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from service.domain import happened
from service.ops.heartbeat import figures
from service.ports.store import Lately
from service.stages.overview import Overview
from service.stages.publish import publish
from tests.emulator import Emulator
from tests.infra.deployed import Stack, deployed


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Stack:
    return deployed(emulator)


def lines() -> list[dict[str, Any]]:
    """What the service logs: a heartbeat, a failure, an event that did not go out, and one of no concern."""
    seen = Overview(now=9.0, counts=(), lately=Lately(ended=0, last_callback_at=None))
    return [
        {"event": happened.SERVICE_HEARTBEAT, "lost": 0, **figures(seen)},
        {"event": happened.JOB_DECIDED, "outcome": "failed"},
        {"event": happened.JOB_RETRIED, "stage": publish.__name__},
        {"event": happened.JOB_RETRIED, "stage": "submit"},
    ]


def test_each_is_made_of_what_the_service_logs(stack: Stack) -> None:
    logs = stack.emulator.client("logs")
    filters = logs.describe_metric_filters(logGroupName=stack.resources["Log"])["metricFilters"]
    figures_of = {}
    for each in filters:
        (passed,) = [line for line in lines() if _passes(each["filterPattern"], line)]
        (metric,) = each["metricTransformations"]
        value = metric["metricValue"]
        figures_of[metric["metricName"]] = passed[value[2:]] if value.startswith("$.") else int(value)
        assert metric["metricNamespace"] == f"Afterword/{stack.name}"
    assert all(isinstance(value, int | float) for value in figures_of.values())
    ours = [each for each in alarms_of(stack) if each["Namespace"].startswith("Afterword/")]
    assert {each["MetricName"] for each in ours} == set(figures_of)
    assert {each["TreatMissingData"] for each in ours} == {"breaching"}


def test_the_queues_are_watched_too(stack: Stack) -> None:
    watched = {
        (each["MetricName"], dimension["Value"]) for each in alarms_of(stack) for dimension in each["Dimensions"]
    }
    assert watched == {
        ("ApproximateNumberOfMessagesVisible", f"{stack.name}-recordings-dead"),
        ("ApproximateAgeOfOldestMessage", f"{stack.name}-recordings"),
    }


def test_they_tell_the_topic_that_is_named(emulator: Emulator) -> None:
    topic = emulator.client("sns").create_topic(Name=emulator.name("alarms"))["TopicArn"]
    alarms = alarms_of(deployed(emulator, AlarmTopicArn=topic))
    assert alarms
    assert all(each["AlarmActions"] == each["OKActions"] == [topic] for each in alarms)


def alarms_of(stack: Stack) -> list[Mapping[str, Any]]:
    found = stack.emulator.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stack.name}-")["MetricAlarms"]
    return list(found)


def _passes(pattern: str, line: Mapping[str, object]) -> bool:
    """As CloudWatch Logs reads the few patterns that are used: equalities, joined by `&&`."""
    terms = pattern.strip("{ }").split(" && ")
    pairs = [re.fullmatch(r'\$\.(\w+) = "([^"]+)"', term) for term in terms]
    assert all(pairs), pattern
    return all(pair is not None and line.get(pair[1]) == pair[2] for pair in pairs)
