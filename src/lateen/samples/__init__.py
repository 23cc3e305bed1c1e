"""The sample programs (Bookinfo, httpbin, tcp-echo, curl, helloworld) with the originals' URLs, ports, headers and JSON.

They are plain services: they import nothing of Lateen and know nothing of the mesh.

Entry point: a module per program, run with `python -m`.
May import: the standard library and third-party packages; nothing of `lateen`.
"""
