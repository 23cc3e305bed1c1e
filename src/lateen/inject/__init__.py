"""Which pods get a sidecar, and what a pod looks like with one: Istio's labels, annotations and templates.

A pod that already has a sidecar stays as it is.

Entry point: `inject.policy.wants_sidecar`, `inject.pod.inject`.
May import: `api`, `util`.
"""
