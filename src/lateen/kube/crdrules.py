"""What definitions of custom kinds ask of fields beyond their types, as Istio's ask it: ranges, patterns, and rules between fields (CEL).

Paths are of field names below `spec`; `[]` stands for the elements of a list, `{}` for the values of a map.
"""

from collections.abc import Mapping

__all__ = ["RULES", "Rule", "rules"]

Rule = dict[str, object]


def rules(*pairs: tuple[str, str]) -> Rule:
    """Rules of one place: each in CEL, and what is said where it does not hold."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


_TEXT: Rule = {"minLength": 1}
_PORT: Rule = {"minimum": 1, "maximum": 65535}
_PORTS: Rule = {"additionalProperties": {"type": "integer", "minimum": 0, "maximum": 65535}}
_LABELS = rules(
    ("self.all(key, size(key) > 0)", "key must not be empty"),
    ("self.all(key, !key.contains('*'))", "wildcard not allowed in label key match"),
    ("self.all(key, !self[key].contains('*'))", "wildcard not allowed in label value match"),
)
_NO_OTHER_SOURCES = " && ".join(
    f"!((has(self.serviceAccounts) || has(self.notServiceAccounts)) && has(self.{other}))"
    for other in ("principals", "notPrincipals", "namespaces", "notNamespaces")
)
_NO_RANGES = (
    "!has(self.addresses) || !self.addresses.exists(one, one.matches('/')) || !has(self.resolution)"
    " || self.resolution == 'STATIC' || self.resolution == 'NONE'"
)
_TARGET: Rule = {"required": ["kind", "name"]}
_TARGET_NAME: Rule = {"minLength": 1, "maxLength": 253}
_TARGET_KIND: Rule = {"minLength": 1, "maxLength": 63, "pattern": "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"}
_TARGETS: Mapping[str, Rule] = {
    "targetRef": _TARGET,
    "targetRef.kind": _TARGET_KIND,
    "targetRef.name": _TARGET_NAME,
    "targetRef.namespace": rules(("self.size() == 0", "cross namespace referencing is not currently supported")),
    "targetRefs": {"maxItems": 16},
    "targetRefs[]": _TARGET,
    "targetRefs[].kind": _TARGET_KIND,
    "targetRefs[].name": _TARGET_NAME,
    "targetRefs[].namespace": rules(("self.size() == 0", "cross namespace referencing is not currently supported")),
}
_SELECTOR: Mapping[str, Rule] = {"selector.matchLabels": _LABELS}
_ADDRESS: Mapping[str, Rule] = {
    "address": rules(("!self.startsWith('unix://') || self.matches('^unix://[/@]')", "UNIX must be an absolute path")),
    "ports": _PORTS
    | rules(("self.all(key, size(key) < 63 && key.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))", "port name must be valid")),
}

RULES: Mapping[str, Mapping[str, Rule]] = {
    "AuthorizationPolicy": {
        **_SELECTOR,
        **_TARGETS,
        "rules": {"maxItems": 512},
        "rules[].from[].source": rules(
            (
                _NO_OTHER_SOURCES,
                "cannot set serviceAccounts with namespaces or principals",
            )
        ),
    },
    "DestinationRule": {
        "trafficPolicy.loadBalancer.warmup": {"required": ["duration"]},
        "trafficPolicy.loadBalancer.warmup.aggression": {"minimum": 1},
        "trafficPolicy.loadBalancer.warmup.minimumPercent": {"minimum": 0, "maximum": 100},
    },
    "EnvoyFilter": {
        "configPatches[].match": rules(
            ("has(self.waypoint) ? has(self.context) && self.context == 'WAYPOINT' : true", "waypoint may be matched in its context only")
        ),
    },
    "PeerAuthentication": {
        **_SELECTOR,
        "": rules(
            (
                "!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0)",
                "portLevelMtls requires selector",
            )
        ),
        "portLevelMtls": {"minProperties": 1} | rules(("self.all(key, 0 < int(key) && int(key) <= 65535)", "port must be between 1-65535")),
    },
    "ProxyConfig": {**_SELECTOR},
    "RequestAuthentication": {
        **_SELECTOR,
        **_TARGETS,
        "jwtRules": {"maxItems": 4096},
        "jwtRules[]": {"required": ["issuer"]},
        "jwtRules[].issuer": _TEXT,
        "jwtRules[].audiences[]": _TEXT,
        "jwtRules[].fromParams[]": _TEXT,
        "jwtRules[].fromCookies[]": _TEXT,
        "jwtRules[].spaceDelimitedClaims[]": _TEXT,
        "jwtRules[].jwksUri": {"pattern": "^[hH][tT][tT][pP][sS]?://", "maxLength": 2048},
    },
    "ServiceEntry": {
        "": {"required": ["hosts"]}
        | rules(
            (
                "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1",
                "only one of workloadSelector or endpoints can be set",
            ),
            (
                _NO_RANGES,
                "CIDR addresses are allowed only for NONE/STATIC resolution types",
            ),
            (
                "(!has(self.resolution) || self.resolution == 'NONE') ? !has(self.endpoints) : true",
                "NONE mode cannot set endpoints",
            ),
            (
                "has(self.resolution) && self.resolution == 'DNS_ROUND_ROBIN' && has(self.endpoints) ? size(self.endpoints) <= 1 : true",
                "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
            ),
        ),
        "hosts": {"minItems": 1, "maxItems": 256},
        "addresses": {"maxItems": 256},
        "endpoints": {"maxItems": 4096},
        "ports": {"maxItems": 256}
        | rules(("self.all(one, self.exists_one(other, one.number == other.number))", "port number cannot be duplicated")),
        "ports[].number": _PORT,
        "ports[].targetPort": _PORT,
        "ports[].name": {"minLength": 1, "maxLength": 256},
        **{f"endpoints[].{path}": rule for path, rule in _ADDRESS.items()},
    },
    "Telemetry": {
        **_SELECTOR,
        **_TARGETS,
        "metrics[].providers[].name": _TEXT,
        "tracing[].providers[].name": _TEXT,
        "accessLogging[].providers[].name": _TEXT,
        "metrics[].overrides[].match.customMetric": _TEXT,
    },
    "WasmPlugin": {
        **_SELECTOR,
        **_TARGETS,
        "": {"required": ["url"]},
        "url": {"minLength": 1, "pattern": "^((https?|file|oci)://|[^:/]+(:[0-9]+)?(/|$)|[^:/]+:[^/]).*"},
        "sha256": {"pattern": "(^$|^[a-f0-9]{64}$)"},
        "imagePullSecret": {"minLength": 1, "maxLength": 253},
        "pluginName": {"minLength": 1, "maxLength": 256},
        "vmConfig.env": {"maxItems": 256},
        "vmConfig.env[]": {"required": ["name"]}
        | rules(
            ("(has(self.valueFrom) ? self.valueFrom : '') != 'HOST' || !has(self.value)", "value may only be set when valueFrom is INLINE")
        ),
    },
    "WorkloadEntry": {"": {"required": ["address"]}, **_ADDRESS, "weight": {"minimum": 0}},
    "WorkloadGroup": {
        "": {"required": ["template"]},
        "probe.tcpSocket.port": _PORT,
        "probe.httpGet.port": _PORT,
        "template.ports": _PORTS,
    },
}
