"""The whole mesh on one machine: API, control plane, node and agents in one process; pods as plain processes in
namespaces.

The host's own rules and links are never touched, and the kernel removes everything when the process dies.

Entry point: `local.app`.
May import: everything below.
"""
