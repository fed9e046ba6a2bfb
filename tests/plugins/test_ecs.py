"""ECS and Fargate: what the task's metadata, version 4, say of a container."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins import metadata
from tests.plugins.metadata import Metadata, serving
from xray_lambda.plugins import ecs
from xray_lambda.plugins._ask import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

# As AWS documents them, for a task on an instance of EC2 and for one on Fargate.
TASK = "arn:aws:ecs:us-west-2:111122223333:task/default/8f03e41243824aea923aca126495f665"
ON_EC2: dict[str, Any] = {
    "DockerId": "ea32192c8553fbff06c9340478a2ff089b2bb5646fb718b4ee206641c9086d66",
    "Name": "curl",
    "DockerName": "ecs-curltest-24-curl-cca48e8dcadd97805600",
    "Image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest:latest",
    "Labels": {
        "com.amazonaws.ecs.cluster": "default",
        "com.amazonaws.ecs.container-name": "curl",
        "com.amazonaws.ecs.task-arn": TASK,
        "com.amazonaws.ecs.task-definition-family": "curltest",
        "com.amazonaws.ecs.task-definition-version": "24",
    },
    "DesiredStatus": "RUNNING",
    "KnownStatus": "RUNNING",
    "Limits": {"CPU": 10, "Memory": 128},
    "Type": "NORMAL",
    "LogDriver": "awslogs",
    "LogOptions": {
        "awslogs-create-group": "true",
        "awslogs-group": "/ecs/metadata",
        "awslogs-region": "us-west-2",
        "awslogs-stream": "ecs/curl/8f03e41243824aea923aca126495f665",
    },
    "ContainerARN": "arn:aws:ecs:us-west-2:111122223333:container/0206b271-b33f-47ab-86c6-a0ba208a70a9",
}
TASK_ON_EC2 = {
    "Cluster": "default",
    "TaskARN": TASK,
    "Family": "curltest",
    "Revision": "26",
    "AvailabilityZone": "us-west-2d",
    "LaunchType": "EC2",
    "Containers": [ON_EC2],
}
FARGATE_TASK = "arn:aws-cn:ecs:cn-north-1:111122223333:task/shop/e9028f8d5d8e4f258373e7b93ce9a3c3"
ON_FARGATE: dict[str, Any] = {
    **ON_EC2,
    "DockerId": "cd189a933e5849daa93386466019ab50-2495160603",
    "LogOptions": {"awslogs-group": "/ecs/shop", "awslogs-region": "cn-north-1"},
    "ContainerARN": "arn:aws-cn:ecs:cn-north-1:111122223333:container/05966557-f16c-49cb-9352-24b3a0dcd0e1",
}
TASK_ON_FARGATE = {
    **TASK_ON_EC2,
    "Cluster": "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop",
    "TaskARN": FARGATE_TASK,
    "LaunchType": "FARGATE",
}


@pytest.fixture
def agent() -> Iterator[Metadata]:
    with serving() as server:
        server.routes["GET /v4/abc-1"] = metadata.json_of(ON_EC2)
        server.routes["GET /v4/abc-1/task"] = metadata.json_of(TASK_ON_EC2)
        yield server


def detected(agent: Metadata) -> dict[str, Any]:
    return ecs.detect({"ECS_CONTAINER_METADATA_URI_V4": f"{agent.url}/v4/abc-1"})


def test_a_container_on_an_instance_is_known(agent: Metadata) -> None:
    assert detected(agent) == {
        "origin": "AWS::ECS::Container",
        "aws": {
            "ecs": {
                "container": "curl",
                "container_id": "ea32192c8553fbff06c9340478a2ff089b2bb5646fb718b4ee206641c9086d66",
                "container_arn": ON_EC2["ContainerARN"],
                "task_arn": TASK,
                "task_family": "curltest",
                "cluster_arn": "arn:aws:ecs:us-west-2:111122223333:cluster/default",
                "launch_type": "EC2",
                "availability_zone": "us-west-2d",
            },
            "cloudwatch_logs": [
                {"log_group": "/ecs/metadata", "arn": "arn:aws:logs:us-west-2:111122223333:log-group:/ecs/metadata"}
            ],
        },
    }


def test_a_container_on_fargate_is_known(agent: Metadata) -> None:
    agent.routes["GET /v4/abc-1"] = metadata.json_of(ON_FARGATE)
    agent.routes["GET /v4/abc-1/task"] = metadata.json_of(TASK_ON_FARGATE)
    found = detected(agent)
    assert found["aws"]["ecs"]["launch_type"] == "FARGATE"
    assert found["aws"]["ecs"]["cluster_arn"] == "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop"
    assert found["aws"]["cloudwatch_logs"] == [
        {"log_group": "/ecs/shop", "arn": "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/ecs/shop"}
    ]


def test_without_the_agents_variable_nothing_is_asked(agent: Metadata) -> None:
    assert ecs.detect({"ECS_CONTAINER_METADATA_URI": agent.url}) == {}
    assert agent.asked == []


def test_the_container_says_by_itself_what_the_task_does_not(agent: Metadata) -> None:
    del agent.routes["GET /v4/abc-1/task"]
    found = detected(agent)["aws"]["ecs"]
    assert (found["task_arn"], found["task_family"]) == (TASK, "curltest")
    assert found["cluster_arn"] == "arn:aws:ecs:us-west-2:111122223333:cluster/default"
    assert "launch_type" not in found


@pytest.mark.parametrize(
    ("container", "logs"),
    [
        ({"LogDriver": "awsfirelens"}, None),
        ({"LogOptions": {}}, None),
        ({"LogOptions": None}, None),
        ({"LogOptions": {"awslogs-group": "g"}}, [{"log_group": "g"}]),
        ({"ContainerARN": "odd"}, [{"log_group": "/ecs/metadata"}]),
    ],
)
def test_logs_are_linked_as_far_as_they_are_known(agent: Metadata, container: dict[str, Any], logs: object) -> None:
    agent.routes["GET /v4/abc-1"] = metadata.json_of({**ON_EC2, **container})
    assert detected(agent)["aws"].get("cloudwatch_logs") == logs


def test_an_agent_that_is_not_there_is_no_answer(agent: Metadata) -> None:
    agent.routes.clear()
    with pytest.raises(NoAnswerError):
        detected(agent)


def test_an_agent_that_hangs_costs_a_second_in_all(agent: Metadata) -> None:
    agent.routes["GET /v4/abc-1/task"] = metadata.hangs
    start = time.monotonic()
    found = detected(agent)
    assert 0.9 < time.monotonic() - start < 3
    assert found["aws"]["ecs"]["container"] == "curl"


def test_nonsense_is_left_out(agent: Metadata) -> None:
    agent.routes["GET /v4/abc-1"] = metadata.json_of({"Labels": 5, "Name": ["x"], "DockerId": "", "LogOptions": "no"})
    agent.routes["GET /v4/abc-1/task"] = metadata.json_of({"Cluster": 7, "TaskARN": {}, "LaunchType": "EC2"})
    assert detected(agent)["aws"] == {"ecs": {"launch_type": "EC2"}}
