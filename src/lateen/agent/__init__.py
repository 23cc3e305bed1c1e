"""The sidecar's agent, composed: one Envoy's bootstrap, process, certificates, DNS, health and drain (Istio's
pilot-agent).

A private key never leaves it.

Entry point: `agent.app.Agent`.
May import: everything below; not `server`, not `samples`.
"""
