"""Istio's authorization cases: the filters made from policies, and principals under the aliases of a trust domain."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import json_format

from lateen.api.decode import decode_documents, decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.api.security import AuthorizationPolicy
from lateen.compile.authz import AuthzContext, plan_authz
from lateen.compile.extauthz import ext_authz
from lateen.compile.trustdomains import expand_principals, with_trust_domain
from lateen.model.authz import AuthzStep, RbacPlan
from lateen.testing.messages import plain
from lateen.xds.filters.extauthz import build_http_ext_authz
from lateen.xds.filters.rbac import build_http_rbac
from lateen.xds.networkfilters import build_network_authz

pytestmark = pytest.mark.copied_from("istio/istio", "pilot/pkg/security", "see shared/cases/authz/SOURCE.md")


def printed(step: AuthzStep) -> Any:
    """The filter of a step."""
    return build_http_rbac(step) if isinstance(step, RbacPlan) else build_http_ext_authz(step)


def _cases(config: pytest.Config, file: str) -> list[dict[str, Any]]:
    path = Path(config.getoption("--cases")) / "authz" / file
    return json.loads(path.read_text()) if path.exists() else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per case of either file."""
    for fixture, file in (("case", "expected.json"), ("expansion", "trustdomain.json")):
        if fixture in metafunc.fixturenames:
            cases = _cases(metafunc.config, file)
            metafunc.parametrize(fixture, cases, ids=[one["name"] for one in cases])


def _provider(case: dict[str, Any]) -> Any:
    mesh, problems = decode_message(json.dumps(case.get("meshConfig", {})).encode(), MeshConfig, "meshConfig")
    assert mesh is not None, problems
    return lambda name: ext_authz(name, mesh.extension_providers, lambda _namespace, host: host.endswith(".svc.cluster.local"))


def _without_other_spellings(value: Any) -> Any:
    """Without what docs/decisions/013 adds: a refused host with a port or the root's dot."""
    if isinstance(value, list):
        return [_without_other_spellings(one) for one in value if not _is_other_spelling(one)]
    if isinstance(value, dict):
        return {key: _without_other_spellings(one) for key, one in value.items()}
    return value


def _is_other_spelling(value: Any) -> bool:
    header = value.get("header", {}) if isinstance(value, dict) else {}
    regex = header.get("string_match", {}).get("safe_regex", {}).get("regex", "")
    return header.get("name") == ":authority" and regex.startswith("(?i)(.*,)?")


def _recorded(folder: Path, file: str, *, tcp: bool) -> Any:
    raw = yaml.safe_load((folder / file).read_text())
    message = chain_pb2.Filter() if tcp else hcm_pb2.HttpFilter()
    return plain(json_format.ParseDict(raw, message))


def test_filters(cases_dir: Path, case: dict[str, Any]) -> None:
    """The filters are Istio's, field by field."""
    folder, tcp, custom = cases_dir / "authz", case["forTCP"], case.get("customActionBuilder", False)
    policies = [one.obj for one in decode_documents((folder / case["input"]).read_bytes(), case["input"])]
    counted = [one for one in policies if isinstance(one, AuthorizationPolicy) and (one.spec.action == "CUSTOM") == custom]
    assert len(counted) == len(policies)
    domains = (case.get("trustDomain", "cluster.local"), *case.get("trustDomainAliases", ()))
    plan, _ = plan_authz(counted, AuthzContext(provider=_provider(case), trust_domains=domains))
    assert plan is not None
    built = build_network_authz(plan.tcp) if tcp else [printed(step) for step in (*plan.custom, *plan.rules)]
    expected = [_recorded(folder, file, tcp=tcp) for file in case["filters"]]
    assert [_without_other_spellings(plain(one)) for one in built] == expected


def test_trust_domain(expansion: dict[str, Any]) -> None:
    """Principals stand for themselves under every name of their trust domain."""
    if "principals" in expansion:
        bundle = expansion["bundle"]
        domains = (bundle["trustDomain"], *bundle["aliases"])
        assert list(expand_principals(expansion["principals"], domains)) == expansion["expect"]
    else:
        renamed = with_trust_domain(expansion["principal"], expansion.get("trustDomainIn", ""))
        assert renamed == (expansion["out"] or None)
