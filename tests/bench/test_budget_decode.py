"""Budget of the one door: a mesh's configuration is decoded while people wait."""

import time

import pytest

from lateen.api.decode import decode_documents, decode_object

COUNT = 10_000
DOCUMENT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews-{0}
  namespace: default
spec:
  hosts:
  - reviews-{0}
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: reviews
        subset: v2
  - route:
    - destination:
        host: reviews
        subset: v1
      weight: 50
    - destination:
        host: reviews
        subset: v3
      weight: 50
---
"""


@pytest.mark.slow
def test_ten_thousand_resources_decode_within_their_budget() -> None:
    """From YAML under 3 s of CPU, from the API's JSON under 1.5 s."""
    text = "".join(DOCUMENT.format(number) for number in range(COUNT)).encode()
    start = time.process_time()
    decoded = decode_documents(text, "f")
    from_yaml = time.process_time() - start
    start = time.process_time()
    objects = [decode_object(one.raw)[0] for one in decoded]
    from_json = time.process_time() - start
    print(f"\n{COUNT} resources: YAML {from_yaml:.2f} s, JSON {from_json:.2f} s of CPU")
    assert [one.obj for one in decoded] == objects
    assert from_yaml < 3
    assert from_json < 1.5
