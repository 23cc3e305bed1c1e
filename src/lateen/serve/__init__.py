"""What answers on sockets: xDS, SDS and certificates over gRPC, the Kubernetes API over HTTP, DNS over UDP and TCP.

An adapter turns bytes into calls of the sans-I/O machines and back.

Entry point: a `serve_` function or class per protocol.
May import: `runtime` and everything below it, grpc, starlette; not `sources`.
"""
