"""ECS and Fargate: the container, its task and cluster, and the log group it writes to, from the task's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.plugins._ask import Deadline, NoAnswerError, ask_json
from xray_lambda.plugins._texts import part, texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# As X-Ray's guide has it, and sampling rules go by, for both launch types; `aws.ecs.launch_type` tells them apart.
ORIGIN = "AWS::ECS::Container"
ENDPOINT = "ECS_CONTAINER_METADATA_URI_V4"


def detect(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the container is; raises NoAnswerError where its metadata cannot be had."""
    endpoint = environ.get(ENDPOINT, "").strip().rstrip("/")
    if not endpoint:
        return {}
    deadline = Deadline()
    container = ask_json(endpoint, deadline)
    try:
        task = ask_json(f"{endpoint}/task", deadline)
    except NoAnswerError:  # the container says some of it by itself
        task = {}
    return {"origin": ORIGIN, "aws": {"ecs": _ecs(container, task), **_logs(container)}}


def _ecs(container: dict[str, Any], task: dict[str, Any]) -> dict[str, object]:
    labels = part(container, "Labels")
    task_arn = task.get("TaskARN") or labels.get("com.amazonaws.ecs.task-arn")
    return texts(
        container=container.get("Name") or labels.get("com.amazonaws.ecs.container-name"),
        container_id=container.get("DockerId"),
        container_arn=container.get("ContainerARN"),
        task_arn=task_arn,
        task_family=task.get("Family") or labels.get("com.amazonaws.ecs.task-definition-family"),
        cluster_arn=_cluster(task.get("Cluster") or labels.get("com.amazonaws.ecs.cluster"), task_arn),
        launch_type=task.get("LaunchType"),
        availability_zone=task.get("AvailabilityZone"),
    )


def _cluster(cluster: object, task_arn: object) -> object:
    """Return the cluster's ARN; the agent on EC2 tells its short name, which the task's ARN completes."""
    if not isinstance(cluster, str):
        return None
    if cluster.startswith("arn:"):
        return cluster
    fields = str(task_arn).split(":")
    return f"{':'.join(fields[:5])}:cluster/{cluster}" if len(fields) > 5 else None


def _logs(container: dict[str, Any]) -> dict[str, Any]:
    """Return the log group of the awslogs driver; other drivers do not say where logs come to rest."""
    options = part(container, "LogOptions")
    group = texts(group=options.get("awslogs-group")).get("group")
    if container.get("LogDriver") != "awslogs" or group is None:
        return {}
    fields = str(container.get("ContainerARN")).split(":")
    region = texts(region=options.get("awslogs-region")).get("region")
    if len(fields) > 5 and region is not None:
        arn = f"arn:{fields[1]}:logs:{region}:{fields[4]}:log-group:{group}"
        return {"cloudwatch_logs": [{"log_group": group, "arn": arn}]}
    return {"cloudwatch_logs": [{"log_group": group}]}
