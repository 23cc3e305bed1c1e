"""Tools for tests: protocol dialogues, worlds made from YAML, golden files, a fake clock, a real Envoy.

The product never imports it.

Entry point: a module per tool.
May import: everything below; not `cli`.
"""
