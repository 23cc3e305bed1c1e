"""Rules between fields of the Gateway API's kinds, in CEL, as the project's definitions have them (gateway-api v1.6, standard channel).

Paths as in `crdrules`. Limits of single fields are in the types.
"""

from collections.abc import Mapping

from lateen.kube.crdrules import Rule, rules

__all__ = ["GATEWAY_RULES"]

Rules = Mapping[str, Rule]

_SAME_PARENT = (
    "p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name"
    " && (has(p1.__namespace__) ? p1.__namespace__ : '') == (has(p2.__namespace__) ? p2.__namespace__ : '')"
)
_SECTION = "(has({0}.sectionName) ? {0}.sectionName : '')"
_PORT = "(has({0}.port) ? {0}.port : 0)"
_BOTH_SET = "({0} == {1}) == ({2} == {1})"
_SECTIONS_SET = _BOTH_SET.format(_SECTION.format("p1"), "''", _SECTION.format("p2"))
_PORTS_SET = _BOTH_SET.format(_PORT.format("p1"), "0", _PORT.format("p2"))
_SAME_SECTION = f"{_SECTION.format('p1')} == {_SECTION.format('p2')}"
_SAME_PORT = f"{_PORT.format('p1')} == {_PORT.format('p2')}"
_BY_NAME: Rule = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
_PARENTS = rules(
    (
        f"self.all(p1, self.all(p2, {_SAME_PARENT} ? {_SECTIONS_SET} && {_PORTS_SET} : true))",
        "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
    ),
    (
        f"self.all(p1, self.exists_one(p2, {_SAME_PARENT} && {_SAME_SECTION} && {_SAME_PORT}))",
        "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
    ),
)
_NAMED = (
    "self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))",
    "Rule name must be unique within the route",
)
_BACKEND = rules(("size(self.group) == 0 && self.kind == 'Service' ? has(self.port) : true", "Must have port for Service reference"))
_COUNTED = " + ".join(f"(self.size() > {n} && has(self[{n}].matches) ? self[{n}].matches.size() : 0)" for n in range(16))
_FEW_MATCHES = (f"{_COUNTED} <= 128", "the total number of matches across all rules in a route must be at most 128")
_MODIFIER = rules(
    *(
        pair
        for kind, name in (("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch"))
        for pair in (
            (f"self.type == '{kind}' ? has(self.{name}) : true", f"{name} must be specified when type is set to '{kind}'"),
            (f"has(self.{name}) ? self.type == '{kind}' : true", f"type must be '{kind}' when {name} is set"),
        )
    )
)
_MIRROR = rules(
    ("!(has(self.percent) && has(self.fraction))", "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter")
)
_FRACTION = rules(("self.numerator <= self.denominator", "numerator must be less than or equal to denominator"))
_GRPC_FIELDS = ("requestHeaderModifier", "responseHeaderModifier", "requestMirror", "extensionRef")
_HTTP_FIELDS = (*_GRPC_FIELDS, "requestRedirect", "urlRewrite", "cors")
_TYPES = {"cors": "CORS", "urlRewrite": "URLRewrite"}
_ORIGINS = "('*' in self && self.size() > 1)"


def _type_of(name: str) -> str:
    return _TYPES.get(name) or name[0].upper() + name[1:]


def _filter(names: tuple[str, ...]) -> Rule:
    """The field that the type names is there, and no other."""
    return rules(
        *(
            pair
            for name in names
            for pair in (
                (
                    f"!(has(self.{name}) && self.type != '{_type_of(name)}')",
                    f"filter.{name} must be nil if the filter.type is not {_type_of(name)}",
                ),
                (
                    f"!(!has(self.{name}) && self.type == '{_type_of(name)}')",
                    f"filter.{name} must be specified for {_type_of(name)} filter.type",
                ),
            )
        )
    )


def _once(*types: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"self.filter(f, f.type == '{one}').size() <= 1", f"{one} filter cannot be repeated") for one in types)


_GRPC_ONCE = _once("RequestHeaderModifier", "ResponseHeaderModifier")
_HTTP_ONCE = (
    (
        "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
    ),
    *_GRPC_ONCE,
    *_once("CORS", "RequestRedirect", "URLRewrite"),
)


def _headers(at: str) -> Rules:
    return {f"{at}[].{kind}HeaderModifier.{how}": _BY_NAME for kind in ("request", "response") for how in ("set", "add")}


def _filters(at: str, once: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> Rules:
    """What filters of all routes have in common."""
    return {
        at: rules(*once),
        f"{at}[]": _filter(names),
        **_headers(at),
        f"{at}[].requestMirror": _MIRROR,
        f"{at}[].requestMirror.fraction": _FRACTION,
        f"{at}[].requestMirror.backendRef": _BACKEND,
    }


def _http_filters(at: str) -> Rules:
    return {
        **_filters(at, _HTTP_ONCE, _HTTP_FIELDS),
        f"{at}[].requestRedirect.path": _MODIFIER,
        f"{at}[].urlRewrite.path": _MODIFIER,
        f"{at}[].cors.allowOrigins": rules((f"!{_ORIGINS}", "AllowOrigins cannot contain '*' alongside other origins")),
        f"{at}[].cors.allowMethods": rules((f"!{_ORIGINS}", "AllowMethods cannot contain '*' alongside other methods")),
        f"{at}[].cors.allowHeaders": rules((f"!{_ORIGINS}", "AllowHeaders cannot contain '*' alongside other methods")),
    }


def _grpc_filters(at: str) -> Rules:
    return _filters(at, _GRPC_ONCE, _GRPC_FIELDS)


_ONE_PREFIX = "size(self.matches) == 1 && has(self.matches[0].path) && self.matches[0].path.type == 'PathPrefix'"


def _prefix(filters: str, name: str) -> str:
    """Where a filter of the list replaces a prefix, the rule has one match, of a prefix."""
    return f"!({filters}.exists(f, has(f.{name}) && has(f.{name}.path) && f.{name}.path.type == 'ReplacePrefixMatch')) || {_ONE_PREFIX}"


_HTTP_RULE = rules(
    (
        "has(self.backendRefs) && size(self.backendRefs) > 0 ? !has(self.filters) || self.filters.all(f, !has(f.requestRedirect)) : true",
        "RequestRedirect filter must not be used together with backendRefs",
    ),
    *(
        (
            f"!has(self.filters) || {_prefix('self.filters', name)}",
            f"When using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        )
        for name, kind in (("requestRedirect", "RequestRedirect"), ("urlRewrite", "URLRewrite"))
    ),
    *(
        (
            f"!has(self.backendRefs) || self.backendRefs.all(b, !has(b.filters) || {_prefix('b.filters', name)})",
            f"Within backendRefs, when using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        )
        for name, kind in (("requestRedirect", "RequestRedirect"), ("urlRewrite", "URLRewrite"))
    ),
)
_LITERAL = "self.type in ['Exact', 'PathPrefix'] ? {} : true"
_WHEN = "when type one of ['Exact', 'PathPrefix']"
_CHARACTERS = "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_PATH = rules(
    (_LITERAL.format("self.value.startsWith('/')"), f"value must be an absolute path and start with '/' {_WHEN}"),
    *(
        (_LITERAL.format(f"!self.value.contains('{part}')"), f"must not contain '{part}' {_WHEN}")
        for part in ("//", "/./", "/../", "%2f", "%2F", "#")
    ),
    *((_LITERAL.format(f"!self.value.endsWith('{part}')"), f"must not end with '{part}' {_WHEN}") for part in ("/..", "/.")),
    (
        _LITERAL.format(f'self.value.matches("{_CHARACTERS}")'),
        f"must only contain valid characters (matching {_CHARACTERS}) for types ['Exact', 'PathPrefix']",
    ),
)
_METHOD = rules(
    ("has(self.service) || has(self.method)", "One or both of 'service' or 'method' must be specified"),
    (
        "self.type == 'Exact' && has(self.service) ? self.service.matches('(?i)^[.]?[a-z_][a-z_0-9]*([.][a-z_][a-z_0-9]*)*$') : true",
        "service must only contain valid characters",
    ),
    (
        "self.type == 'Exact' && has(self.method) ? self.method.matches('^[A-Za-z_][A-Za-z_0-9]*$') : true",
        "method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)",
    ),
)
_LONGER = "duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request)"
_TIMEOUTS = rules(
    (
        f"!(has(self.request) && has(self.backendRequest) && {_LONGER})",
        "backendRequest timeout cannot be longer than request timeout",
    )
)
_SERVER_NAMES = rules(
    ("self.all(h, !h.matches('^[0-9]+([.][0-9]+){3}$'))", "Hostnames cannot contain an IP"),
)
_BYTES: Rules = {"parentRefs": _PARENTS, "rules[].backendRefs[]": _BACKEND}
_OF = "self.all(l, l.protocol.matches('(?i)^({})$') ? {} : true)"
_HOST = "(has({0}.hostname) ? {0}.hostname : '')"
_SAME_HOST = f"{_HOST.format('l1')} == {_HOST.format('l2')}"
_LISTENERS = rules(
    (_OF.format("HTTP|TCP|UDP", "!has(l.tls)"), "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"),
    (_OF.format("HTTPS", "!has(l.tls) || l.tls.mode == 'Terminate'"), "tls mode must be Terminate for protocol HTTPS"),
    (_OF.format("TLS", "has(l.tls)"), "tls mode must be set for protocol TLS"),
    (_OF.format("TCP|UDP", "!has(l.hostname)"), "hostname must not be specified for protocols ['TCP', 'UDP']"),
    ("self.all(l1, self.exists_one(l2, l1.name == l2.name))", "Listener name must be unique within the Gateway"),
    (
        f"self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && {_SAME_HOST}))",
        "Combination of port, protocol and hostname must be unique for each listener",
    ),
)
_SOME = "(has(self.{0}) && size(self.{0}) > 0)"
_LISTENER_TLS = rules(
    (
        f"self.mode == 'Terminate' ? {_SOME.format('certificateRefs')} || {_SOME.format('options')} : true",
        "certificateRefs or options must be specified when mode is Terminate",
    )
)
_ONE_LISTENER: Rules = {"listeners": _LISTENERS | _BY_NAME, "listeners[].tls": _LISTENER_TLS}
_SAME_ADDRESS = "a2.type == a1.type && has(a2.value) && a2.value == a1.value"
_SAME_TARGET = "p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name"

GATEWAY_RULES: Mapping[str, Rules] = {
    "GatewayClass": {"controllerName": rules(("self == oldSelf", "Value is immutable"))},
    "KubernetesGateway": {
        **_ONE_LISTENER,
        "addresses": rules(
            *(
                (
                    f"self.all(a1, a1.type == '{kind}' && has(a1.value) ? self.exists_one(a2, {_SAME_ADDRESS}) : true)",
                    f"{kind} values must be unique",
                )
                for kind in ("IPAddress", "Hostname")
            )
        ),
        "tls.frontend.perPort": rules(
            ("self.all(t1, self.exists_one(t2, t1.port == t2.port))", "Port for TLS configuration must be unique within the Gateway")
        ),
    },
    "ListenerSet": _ONE_LISTENER,
    "HTTPRoute": {
        "parentRefs": _PARENTS,
        "rules": rules(_NAMED, _FEW_MATCHES),
        "rules[]": _HTTP_RULE,
        "rules[].timeouts": _TIMEOUTS,
        "rules[].matches[].path": _PATH,
        "rules[].matches[].headers": _BY_NAME,
        "rules[].matches[].queryParams": _BY_NAME,
        "rules[].backendRefs[]": _BACKEND,
        **_http_filters("rules[].filters"),
        **_http_filters("rules[].backendRefs[].filters"),
    },
    "GRPCRoute": {
        "parentRefs": _PARENTS,
        "rules": rules(_NAMED, _FEW_MATCHES),
        "rules[].matches[].method": _METHOD,
        "rules[].matches[].headers": _BY_NAME,
        "rules[].backendRefs[]": _BACKEND,
        **_grpc_filters("rules[].filters"),
        **_grpc_filters("rules[].backendRefs[].filters"),
    },
    "TLSRoute": {**_BYTES, "hostnames": _SERVER_NAMES},
    "TCPRoute": _BYTES,
    "UDPRoute": _BYTES,
    "BackendTLSPolicy": {
        "targetRefs": rules(
            (
                f"self.all(p1, self.all(p2, {_SAME_TARGET} ? {_SECTIONS_SET} : true))",
                "sectionName must be specified when targetRefs includes 2 or more references to the same target",
            ),
            (
                f"self.all(p1, self.exists_one(p2, {_SAME_TARGET} && {_SAME_SECTION}))",
                "sectionName must be unique when targetRefs includes 2 or more references to the same target",
            ),
        ),
        "validation": rules(
            (
                f"!({_SOME.format('caCertificateRefs')} && has(self.wellKnownCACertificates))",
                "must not contain both CACertificateRefs and WellKnownCACertificates",
            ),
            (
                f"{_SOME.format('caCertificateRefs')} || has(self.wellKnownCACertificates)",
                "must specify either CACertificateRefs or WellKnownCACertificates",
            ),
        ),
        "validation.subjectAltNames[]": rules(
            *(
                pair
                for kind, name in (("Hostname", "hostname"), ("URI", "uri"))
                for pair in (
                    (
                        f"self.type == '{kind}' ? has(self.{name}) : true",
                        f"SubjectAltName element must contain {kind}, if Type is set to {kind}",
                    ),
                    (
                        f"self.type != '{kind}' ? !has(self.{name}) : true",
                        f"SubjectAltName element must not contain {kind}, if Type is not set to {kind}",
                    ),
                )
            )
        ),
    },
}
