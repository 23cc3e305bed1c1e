"""The API: Kubernetes' and Istio's types, the table of kinds, and the one door that decodes them.

Entry points: `api.decode` (bytes or JSON to typed objects), `api.kinds` (what kinds there are), `api.core`,
`api.networking`, `api.security`, `api.meshconfig` (the types). May import `lateen.util` only; pure: no I/O, no clock.
"""
