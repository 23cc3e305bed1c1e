"""Interception rules: one model made from Istio's settings, rendered as iptables-restore or nft text.

It runs no command and knows no network namespace.

Entry point: `netfilter.rules`, `netfilter.render`.
May import: `util`.
"""
