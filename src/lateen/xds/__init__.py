"""From plans to Envoy's messages, and from messages to bytes: pure printers, the plan their only argument.

It never names an `api` type; only `pack` serialises.

Entry point: `xds.pack` and a `build_` function per kind of resource.
May import: `compile`, `model`, `util`, protobuf and Envoy's messages.
"""
