"""Pure helpers that any package may use: host patterns, selectors, address ranges, durations, wire format, secrets.

Nothing here knows of meshes, Kubernetes or Envoy.

Entry point: a module per subject, e.g. `util.hosts.matches`.
May import: the standard library's pure parts, msgspec.
"""
