"""Where objects come from: the Kubernetes API client, the SQLite file behind the embedded store.

An adapter moves data and decides nothing about meshes.

Entry point: `sources.kubeclient.KubeClient`, `sources.sqlite`.
May import: `runtime` and everything below it, httpx, grpc; not `serve`.
"""
