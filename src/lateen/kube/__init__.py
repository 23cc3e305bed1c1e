"""The Kubernetes API without its I/O: a revisioned store, watches, patches, selectors, tables, discovery, admission.

It holds raw JSON objects and does not know what a kind means.

Entry point: `kube.store`.
May import: `api`, `util`, jsonpatch.
"""
