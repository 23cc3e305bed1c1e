"""Writes src/lateen/serve/http_kube/kubernetes_messages.txt: field numbers and names of Kubernetes' protobuf messages.

    .venv/bin/python scripts/kubernetes_messages.py /usr/bin/kubectl.1.32

The numbers stand in every Go program of Kubernetes, as compressed descriptors. One message a line: name, then NUMBER:FIELD:TYPE with type
s(tring) i(nteger) b(oolean) y (bytes) d(ouble) or a message; before the type `*` is a list, `%` a map; `<` the field's own fields stand in
its place in JSON; `!` zero is a value and not an absence.
"""

import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

ROOTS = """
core/v1: Namespace Node Pod Service ServiceAccount Secret ConfigMap Event Endpoints
apps/v1: Deployment ReplicaSet StatefulSet DaemonSet
batch/v1: Job CronJob
discovery/v1: EndpointSlice
coordination/v1: Lease
networking/v1: Ingress IngressClass
policy/v1: PodDisruptionBudget Eviction
autoscaling/v1: Scale HorizontalPodAutoscaler
events/v1: Event
rbac/v1: Role RoleBinding ClusterRole ClusterRoleBinding
admissionregistration/v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration
authentication/v1: TokenRequest TokenReview SelfSubjectReview
authorization/v1: SubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview LocalSubjectAccessReview
meta/v1: DeleteOptions
"""
# Embedded in Go, so that JSON has no level for them.
INLINE = {
    "localObjectReference", "ingressRuleValue", "rule", "ruleWithOperations", "volumeSource", "handler", "ephemeralContainerCommon",
}  # fmt: skip
# Left out by Go when zero; every other number and boolean is a pointer, or must be there.
OMITTED = re.findall(
    r"\w+",
    """
Port active chapAuthDiscovery chapAuthSession count deprecatedCount failed fullyLabeledReplicas generation globalDefault hostIPC
hostNetwork hostPID hostPort initialDelaySeconds periodSeconds failureThreshold successThreshold timeoutSeconds minReadySeconds
nodePort healthCheckNodePort observedGeneration paused publishNotReadyAddresses readOnly readyReplicas availableReplicas sslEnabled
stdin stdinOnce tty succeeded unavailableReplicas unschedulable updatedReplicas denied authenticated number incomplete
    """,
)
LETTERS = {9: "s", 5: "i", 3: "i", 8: "b", 12: "y", 1: "d"}
COMPRESSED = re.compile(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00")


def main() -> None:
    known = dict(messages(Path(sys.argv[1]).read_bytes()))
    todo = [f"{line.split(': ')[0]}.{kind}" for line in ROOTS.split("\n") if line for kind in line.split(": ")[1].split()]
    lines: dict[str, str] = {}
    while todo:
        name = todo.pop()
        if name not in lines:
            fields = [field_text(known[name], field) for field in known[name].field]
            lines[name] = " ".join([name, *(f"{number}:{field}:{kind}" for number, field, kind in fields)])
            todo += [kind.lstrip("*%<!") for _, _, kind in fields if "." in kind]
    target = Path(__file__).parent.parent / "src/lateen/serve/http_kube/kubernetes_messages.txt"
    target.write_text("\n".join(lines[name] for name in sorted(lines)) + "\n", encoding="ascii")


def messages(program: bytes) -> Iterator[tuple[str, DescriptorProto]]:
    for found in COMPRESSED.finditer(program):
        try:
            raw = zlib.decompressobj(31).decompress(program[found.start() : found.start() + (2 << 20)])
            file = FileDescriptorProto.FromString(raw)
        except Exception:  # noqa: BLE001, S112  other compressed data of the program
            continue
        for message in file.message_type:
            yield f"{package(file.package)}.{message.name}", message


def package(name: str) -> str:
    found = re.search(r"(?:^|\.)(\w+\.v\d\w*|resource|intstr|runtime)$", name)
    return found[1].replace(".", "/") if found else name


def field_text(message: DescriptorProto, field: FieldDescriptorProto) -> tuple[int, str, str]:
    repeated = "*" if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    if field.type != FieldDescriptorProto.TYPE_MESSAGE:
        zero = "!" if not repeated and field.type in (5, 3, 8) and field.name not in OMITTED else ""
        return field.number, field.name, f"{zero}{repeated}{LETTERS[field.type]}"
    entry = next((n for n in message.nested_type if n.options.map_entry and field.type_name.endswith(f".{n.name}")), None)
    nested = next((n for n in message.nested_type if field.type_name.endswith(f".{message.name}.{n.name}")), entry)
    if nested is not None:
        value = nested.field[1]
        return field.number, field.name, f"%{type_name(value.type_name) if value.type_name else LETTERS[value.type]}"
    inline = "<" if field.name in INLINE else ""
    return field.number, field.name, f"{inline}{repeated}{type_name(field.type_name)}"


def type_name(full: str) -> str:
    before, _, name = full.lstrip(".").rpartition(".")
    return f"{package(before)}.{name}"


if __name__ == "__main__":
    main()
