"""Short YAML of Services and rules for tests that need many of them."""

__all__ = ["rule", "service"]


def service(
    name: str,
    number: int,
    *,
    port: int = 80,
    target: int = 8080,
    kind: str = "http",
    namespace: str = "default",
    endpoints: tuple[str, ...] = (),
    more: str = "",
) -> str:
    """A service behind 10.96.0.N; with one endpoint 10.0.N.1 unless told. `more` is further fields of its spec."""
    places = ", ".join(f"{{addresses: [{address}]}}" for address in endpoints or (f"10.0.{number}.1",))
    return f"""
---
kind: Service
apiVersion: v1
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: 10.96.0.{number}, selector: {{app: {name}}}, ports: [{{name: {kind}, port: {port}, targetPort: {target}}}]{more}}}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{places}]
ports: [{{name: {kind}, port: {target}}}]
"""


def rule(policy: str, *, host: str = "web", name: str = "rule", namespace: str = "default", more: str = "") -> str:
    """A DestinationRule with this traffic policy; `more` is further fields of its spec."""
    return (
        "---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{host: '{host}', trafficPolicy: {policy}{more}}}\n"
    )
