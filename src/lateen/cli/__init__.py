"""The `lateen` command.

A command speaks the Kubernetes API and prints; it imports what it needs when it runs.

Entry point: `cli.main.main`.
May import: everything below; not `testing`.
"""
