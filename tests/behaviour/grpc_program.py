"""A gRPC program for tests. `server NAME ADDRESS` answers with its name and its caller's identity; `client TARGET` calls as often as each
line of its input says, and prints what came as JSON: answers, or codes and details, each with how often. Credentials are xDS's.
"""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc.experimental import insecure_channel_credentials


def serve(name: str, address: str) -> None:
    """Until it is ended."""

    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        return f"{name} {b''.join(context.peer_identities() or []).decode()}".strip().encode()

    credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
    server = grpc.server(ThreadPoolExecutor(4), xds=True)
    method: Any = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", {"Say": method, "Shout": method}),))
    server.add_secure_port(address, credentials)
    server.start()
    print("serving", flush=True)  # noqa: T201 - what a test reads
    server.wait_for_termination()


def call(target: str) -> None:
    """Until the input ends. A line is a number of calls, then perhaps a method and a header."""
    credentials = grpc.xds_channel_credentials(insecure_channel_credentials())  # type: ignore[no-untyped-call]
    with grpc.secure_channel(target, credentials) as channel:
        for line in sys.stdin:
            number, method, *header = line.split()
            say: Any = channel.unary_unary(f"/echo.Echo/{method}")
            found: Counter[str] = Counter()
            for _ in range(int(number)):
                try:
                    found[say(b"", timeout=25, metadata=[("group", header[0])] if header else None).decode()] += 1
                except grpc.RpcError as error:
                    found[f"{error.code().name}: {error.details()}"] += 1
            print(json.dumps(found), flush=True)  # noqa: T201 - what a test reads


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2], sys.argv[3])
    else:
        call(sys.argv[2])
