"""What Envoy would do with a call, computed from the configuration it would be sent.

It reads frames' messages only, so that it cannot know what the printers meant.

Entry point: `simulate`'s modules, used by tests.
May import: `xds`, `model`, `util`, protobuf and Envoy's messages.
"""
