"""Signing certificates: 200 a second on one core, and a leaf in 20 ms."""

import statistics
import time

from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer, WorkloadName
from lateen.ca.spiffe import Identity

NOW = 1_800_000_000.0
WHO = Identity("cluster.local", "default", "reviews")
NAME = WorkloadName(workload="reviews-v1", namespace="default", canonical_service="reviews", canonical_revision="v1")
SIGNER = Signer(SelfSignedRoot.create("cluster.local", NOW))


def test_200_certificates_are_signed_in_a_second_of_one_core() -> None:
    """CPU seconds for reading, checking and signing 200 ECDSA requests: at most one."""
    requests = [new_request(WHO)[1] for _ in range(200)]
    started = time.process_time()
    for request in requests:
        SIGNER.sign(request, WHO, 0, NOW, workload=NAME)
    spent = time.process_time() - started
    print(f"{200 / spent:.0f} signings per CPU second")
    assert spent <= 1.0


def test_a_leaf_takes_20_milliseconds() -> None:
    """Key, request and certificate, the median of 50: at most 20 ms of CPU."""
    spent = []
    for _ in range(50):
        started = time.process_time()
        SIGNER.sign(new_request(WHO)[1], WHO, 0, NOW, workload=NAME)
        spent.append(time.process_time() - started)
    print(f"a leaf takes {statistics.median(spent) * 1000:.1f} ms of CPU")
    assert statistics.median(spent) <= 0.020
