"""What the local mesh does to objects before they are stored: pods get their node, their account and, where asked, their sidecar;
Istio's kinds are validated.

Why here and not in a scheduler: there is one node. Must not refuse what Kubernetes and Istio would take, but for pods that cannot be
injected.
"""

import copy
from collections.abc import Callable, Collection, Mapping

from lateen.api.decode import decode_object
from lateen.api.decode_typed import path_text
from lateen.api.gatewaycommon import GROUP
from lateen.api.kinds import KindInfo
from lateen.api.validate.run import validate
from lateen.inject.pod import InjectionError, inject
from lateen.inject.policy import wants_sidecar
from lateen.kube.admission import AdmissionError, AdmissionResult, Operation
from lateen.kube.defined import DefinedKind
from lateen.kube.records import JsonObject, section
from lateen.local.node import NODE_NAME

__all__ = ["LocalAdmission"]

_FOR_OTHERS = frozenset({"CustomResourceDefinition", "Endpoints", "Event", "Lease"})  # what clients keep for themselves, or read


class LocalAdmission:
    """A `kube.admission.Admission`; both functions are asked at the moment of the call.

    `namespace_labels` looks a namespace up; `acted_on` are the kinds that the control plane reads, None while there is none.
    `validated` is told what became of each object of Istio's.
    """

    def __init__(
        self,
        namespace_labels: Callable[[str], Mapping[str, str]],
        acted_on: Callable[[], Collection[str] | None],
        validated: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self._told = validated
        self._namespace_labels = namespace_labels
        self._acted_on = acted_on

    def __call__(
        self, operation: Operation, info: KindInfo, new: Mapping[str, object] | None, old: Mapping[str, object] | None
    ) -> AdmissionResult:
        """Pods at their creation, Istio's kinds when their spec is new; everything else is stored as it came."""
        if info.is_istio and new is not None and (old is None or old.get("spec") != new.get("spec")):
            known = self._acted_on()
            idle = () if known is None or info.kind in known else (f"{info.kind} is stored, but this version of Lateen does not act on it",)
            result = _validated(new, idle)
            version = str(new.get("apiVersion", "")).rpartition("/")[2]
            self._told(info, version, reason="invalid_resource" if result.errors else "")
            return result
        idle_kind = info.type is None or info.group == GROUP
        if idle_kind and not isinstance(info, DefinedKind) and info.kind not in _FOR_OTHERS and operation == "CREATE":
            return AdmissionResult(warnings=(f"{info.kind} is stored, but nothing in this mesh acts on it",))
        if info.kind != "Pod" or operation != "CREATE" or new is None:
            return AdmissionResult()
        pod: JsonObject = copy.deepcopy(dict(new))
        spec = section(pod, "spec")
        pod["spec"] = spec
        spec.setdefault("nodeName", NODE_NAME)
        spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
        namespace = str(section(pod, "metadata").get("namespace", ""))
        if wants_sidecar(pod, namespace, self._namespace_labels(namespace)):
            try:
                pod = inject(pod)
            except InjectionError as error:
                return AdmissionResult(errors=(AdmissionError(str(error), error.field),))
        return AdmissionResult(object=pod)


def _validated(raw: Mapping[str, object], warnings: tuple[str, ...]) -> AdmissionResult:
    obj, _ = decode_object(raw, lenient=True)
    if obj is None:  # its form is the store's to judge
        return AdmissionResult(warnings=warnings)
    verdicts = validate(obj, raw)
    return AdmissionResult(
        warnings=warnings + tuple(f"{path_text(each.path)}: {each.message}" for each in verdicts if each.severity == "warning"),
        errors=tuple(AdmissionError(each.message, path_text(each.path)) for each in verdicts if each.severity == "error"),
    )
