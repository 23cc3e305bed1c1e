"""From API objects to plans: pure functions over the graph, wired in one place.

It never names an Envoy type, and reads the world only through `read`.

Entry point: `compile.world.build_world`.
May import: `model`, `graph`, `api`, `util`.
"""
