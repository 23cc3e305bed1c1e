"""The aggregated discovery service without its I/O: subscriptions, delta and state-of-the-world streams, refusals,
debounce.

It knows bytes, names and versions; time comes in as an event.

Entry point: `ads.stream`, `ads.fleet`.
May import: `model.frame`, `util`.
"""
