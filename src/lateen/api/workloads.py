"""Kubernetes' Deployment and ReplicaSet: what makes pods.

Fields are Kubernetes'; must not hold any behaviour.
"""

from typing import Literal

from lateen.api.base import IntOrString, Message, OpenMessage
from lateen.api.meta import Condition, LabelSelector, ObjectMeta
from lateen.api.pods import PodTemplateSpec

__all__ = [
    "Deployment",
    "DeploymentSpec",
    "DeploymentStatus",
    "DeploymentStrategy",
    "ReplicaSet",
    "ReplicaSetSpec",
    "ReplicaSetStatus",
    "RollingUpdate",
]


class RollingUpdate(Message, frozen=True):
    """How many pods more or fewer during an update."""

    max_unavailable: IntOrString | None = None
    max_surge: IntOrString | None = None


class DeploymentStrategy(Message, frozen=True):
    """RollingUpdate or Recreate."""

    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Message, frozen=True):
    """How many pods of which template."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: DeploymentStrategy | None = None
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


class DeploymentStatus(OpenMessage, frozen=True):
    """How many pods there are."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Deployment(Message, frozen=True):
    """apps/v1 Deployment."""

    api_version: str = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus | None = None


class ReplicaSetSpec(Message, frozen=True):
    """How many pods of which template."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicaSetStatus(OpenMessage, frozen=True):
    """How many pods there are."""

    observed_generation: int = 0
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0


class ReplicaSet(Message, frozen=True):
    """apps/v1 ReplicaSet."""

    api_version: str = "apps/v1"
    kind: Literal["ReplicaSet"] = "ReplicaSet"
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus | None = None
