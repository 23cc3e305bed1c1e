"""What the compiler says and the printers read: services, endpoints, scopes, plans, frames. Data and tiny methods only.

A plan names neither a Kubernetes object's type nor an Envoy message.

Entry point: a module per subject, e.g. `model.frame.Frame`.
May import: `graph`, `api` (keys), `util`, msgspec.
"""
