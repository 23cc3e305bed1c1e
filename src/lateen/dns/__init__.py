"""The name server of a sidecar without its sockets: a table of names, and query bytes to answer bytes.

A name that is not in the table is forwarded, never denied.

Entry point: `dns.answer`, `dns.table`.
May import: `util`, dnslib.
"""
