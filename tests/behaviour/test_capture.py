"""What crosses the wire between two pods of the mesh is TLS."""

import secrets

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

CHANGE_CIPHER, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO = 1


def records(stream: bytes) -> list[int]:
    """The types of the TLS records that a stream is made of; ValueError where it is not TLS."""
    found, position = [], 0
    while position + 5 <= len(stream):
        kind, version, length = stream[position], stream[position + 1], int.from_bytes(stream[position + 3 : position + 5], "big")
        if kind not in {CHANGE_CIPHER, ALERT, HANDSHAKE, DATA} or version != 3 or not 0 < length <= 16640:
            raise ValueError(f"no TLS record at byte {position}: {stream[position : position + 60]!r}")
        found.append(kind)
        position += 5 + length
    return found


def test_bytes_between_two_pods_are_tls(mesh: Mesh) -> None:
    """A marker sent from a pod with a sidecar is nowhere to be seen on the bridge, and all that goes between the two pods is TLS
    from its first byte. The same marker from a pod without a sidecar is seen, so this test would see a leak.
    """
    curl, plain = mesh.pod("curl"), mesh.pod("client", "plain")
    client, server, outsider = mesh.pod_address("curl"), mesh.pod_address("httpbin"), mesh.pod_address("client", "plain")
    secret, control = (f"marker-{secrets.token_hex(16)}" for _ in range(2))
    with mesh.listening() as seen:
        # More at once than connections can be waiting from before: some of what is seen begins with its handshake.
        url = f"http://httpbin:8000/delay/1?{secret}"
        answers = mesh.gather(lambda: mesh.call_from(curl, url, headers=[f"x-marker:{secret}"]), 8)
        direct = f"http://{server}:8080/anything/{control}"
        answers.append(mesh.call_from(plain, direct, namespace="plain", headers=[f"x-marker:{control}"]))
    assert all(reply.status == 200 for each in answers for reply in each)

    between = {way: stream for way, stream in seen.items() if {end.rsplit(":", 1)[0] for end in way.split(">")} == {client, server}}
    assert between
    assert [way for way, stream in seen.items() if secret.encode() in stream] == []
    hellos = 0
    for stream in between.values():
        kinds = records(stream)
        assert DATA in kinds
        hellos += kinds[0] == HANDSHAKE and stream[5] == CLIENT_HELLO
    assert hellos

    leaked = [way for way, stream in seen.items() if control.encode() in stream]
    assert any(way.startswith(f"{outsider}:") and way.endswith(f">{server}:8080") for way in leaked)


def test_the_check_sees_what_is_not_tls() -> None:
    """`records` refuses plain text and takes records one after the other."""
    assert records(bytes([HANDSHAKE, 3, 1, 0, 2, 1, 1, DATA, 3, 3, 0, 1, 7])) == [HANDSHAKE, DATA]
    with pytest.raises(ValueError, match="no TLS record"):
        records(b"GET / HTTP/1.1\r\n\r\n")
