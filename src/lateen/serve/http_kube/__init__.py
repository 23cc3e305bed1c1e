"""The embedded Kubernetes-shaped API over HTTP.

Entry points: `live.LiveStore` (the store with its writer), `app.build_app`, `server.KubeServer`.
May import: `kube`, `api`, `runtime`, starlette, uvicorn; not `sources`.
"""
