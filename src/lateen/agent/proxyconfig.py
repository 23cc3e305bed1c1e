"""The settings of one proxy: the mesh's, with what the pod's `proxy.istio.io/config` annotation says instead."""

import json

from lateen.api.decode import decode_message, read_documents, to_json
from lateen.api.meshconfig import ProxyConfig
from lateen.ca.signer import DEFAULT_TTL
from lateen.util import durations
from lateen.util.problem import Problem

__all__ = ["ANNOTATION", "certificate_ttl", "read_proxy_config"]

ANNOTATION = "proxy.istio.io/config"


def read_proxy_config(mesh: ProxyConfig, annotation: str, source: str) -> tuple[ProxyConfig, tuple[Problem, ...]]:
    """`mesh` with the fields that `annotation` (YAML) sets; environments are joined. A broken annotation changes nothing."""
    data = annotation.encode()
    own, problems = decode_message(data, ProxyConfig, source)
    if own is None or not annotation.strip():
        return mesh, problems
    written = next(read_documents(data, source)).raw or {}
    base = to_json(mesh)
    joined = {**base.get("proxyMetadata", {}), **own.proxy_metadata}
    merged = {key: value for key, value in base.items() if key not in written} | to_json(own) | {"proxyMetadata": joined}
    result, more = decode_message(json.dumps(merged).encode(), ProxyConfig, source)
    return (mesh, (*problems, *more)) if result is None else (result, problems)


def certificate_ttl(proxy: ProxyConfig) -> float:
    """How long the workload asks its certificates to live, in seconds: `SECRET_TTL` of its proxyMetadata, as Istio's agent; else a day."""
    try:
        asked = durations.parse(proxy.proxy_metadata.get("SECRET_TTL", "")) / durations.SECOND
    except ValueError:
        return DEFAULT_TTL
    return asked if asked > 0 else DEFAULT_TTL
