"""The control plane's monitoring door in a running mesh: metrics for whoever scrapes, debug pages for the owner."""

import json

import httpx

from lateen.local.paths import locate_here
from lateen.testing.mesh import Mesh


def test_pods_reach_metrics_and_the_owner_reaches_debug_pages_too(mesh: Mesh) -> None:
    """A pod gets the metrics and 401 for debug pages, with a forged token too; the owner's socket shows every sidecar in its place."""
    bridge = ".".join((*mesh.pod_address("curl").split(".")[:2], "0", "1"))
    pod = mesh.pod("curl")
    (metrics,) = mesh.call_from(pod, f"http://{bridge}:15014/metrics")
    assert metrics.status == 200
    assert "\npilot_services " in metrics.body
    for headers in ((), ("authorization:Bearer forged",)):
        (refused,) = mesh.call_from(pod, f"http://{bridge}:15014/debug/config_dump?proxyID=curl", headers=headers)
        assert (refused.status, refused.body) == (401, "")
    transport = httpx.HTTPTransport(uds=str(locate_here(str(mesh.data)).monitoring_socket))
    with httpx.Client(transport=transport, base_url="http://istiod", timeout=10) as owner:
        synced = {one["proxy"].split("~")[2]: one for one in owner.get("/debug/syncz").json()}
        assert synced[f"{pod}.default"]["cluster_acked"]
        dumped = owner.get(f"/debug/config_dump?proxyID={pod}.default").json()
        assert "outbound|9080||reviews.default.svc.cluster.local" in json.dumps(dumped)
        assert 'pilot_xds{version="1.31.0"}' in owner.get("/metrics").text
