"""HTTP filters, one file each; `order.py` says which stand in a chain and in what order.

May import `lateen.model` plans, `lateen.xds` printers, protobuf; no `api`.
"""
