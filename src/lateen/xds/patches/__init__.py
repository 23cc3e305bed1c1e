"""EnvoyFilters at work: a proxy's printed configuration, changed as they say. Entry points: `parse.parse_plan`, `apply.apply`.

Imports `model`, `util` and Envoy's messages. Only proxies that an EnvoyFilter selects come here, so that nobody else pays.
"""
