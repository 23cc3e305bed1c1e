"""The control plane, composed: client, graph, printers, streams, certificates (Istio's istiod).

It speaks the Kubernetes API only, embedded or real alike.

Entry point: `server.app.ControlPlane`.
May import: everything below; not `agent`, not `samples`.
"""
