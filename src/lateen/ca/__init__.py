"""The certificate authority without its I/O: SPIFFE identities, requests, signing, when to rotate.

It decides and does not sleep; a workload's name comes from its caller, never from a request.

Entry point: `ca.signer.Signer`.
May import: `model`, `util`, cryptography.
"""
