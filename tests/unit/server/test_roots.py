"""Roots that MeshConfig names: texts and bundles, good and bad, come and go."""

import asyncio
import base64
import json

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lateen.api.meshconfig import CertificateData, MeshConfig
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.runtime.clock import SystemClock
from lateen.server.roots import FurtherRoots

NOW = 1_800_000_000.0
OWN, FIRST, SECOND = (SelfSignedRoot.create(name, NOW) for name in ("own", "first", "second"))


class Source:
    """Gives the bundle of the second root, once it is asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def fetch(self, address: str) -> str:
        assert address == "https://second.example/bundle"
        self.asked.set()
        der = x509.load_pem_x509_certificate(SECOND.certificate_pem).public_bytes(serialization.Encoding.DER)
        return json.dumps({"keys": [{"use": "x509-svid", "x5c": [base64.b64encode(der).decode()]}]})


def test_roots_of_mesh_config_come_and_go() -> None:
    """A text at once, a bundle when it was fetched; what cannot be read is left out; what is named no more is trusted no more."""

    async def all_of_it() -> None:
        signer, source = Signer(OWN), Source()
        roots = FurtherRoots(signer, source, SystemClock())
        text = CertificateData(pem=FIRST.certificate_pem.decode())
        bundle = CertificateData(spiffe_bundle_url="https://second.example/bundle")
        roots.want(MeshConfig(ca_certificates=(text, CertificateData(pem="rubbish"), bundle)))
        assert signer.roots_pem == OWN.certificate_pem + FIRST.certificate_pem
        changed = asyncio.Event()
        signer.watch(changed.set)
        async with asyncio.timeout(5):
            await changed.wait()
        assert signer.roots_pem == OWN.certificate_pem + FIRST.certificate_pem + SECOND.certificate_pem
        roots.want(MeshConfig(ca_certificates=(bundle,)))
        assert signer.roots_pem == OWN.certificate_pem + SECOND.certificate_pem
        roots.want(MeshConfig())
        assert signer.roots_pem == OWN.certificate_pem
        await roots.stop()

    asyncio.run(all_of_it())
