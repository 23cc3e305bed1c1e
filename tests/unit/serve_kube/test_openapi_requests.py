"""Requests that schemathesis makes from the OpenAPI we serve: each is answered by an object or a Status, never by a failure of ours."""

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lateen.kube.openapi import document, document_names
from lateen.testing.kubedoor import Door

ALLOWED = (b"declared merge key", b"failed to create typed patch object", b"Too large resource version")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", document_names())
def test_requests_made_from_the_document(name: str) -> None:
    """Every operation of the document, with what its schemas allow and what they do not."""
    content: Any = document(name)
    schema: Any = schemathesis.openapi.from_dict(content)
    operations = [found.ok() for found in schema.get_all_operations()]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(operations).flatmap(lambda operation: operation.as_strategy()))
    def ask(case: Any) -> None:
        asyncio.run(asyncio.wait_for(answered(case), 20))

    ask()


async def answered(case: Any) -> None:
    door = Door()
    await door.live.start()
    try:
        path = case.path.format(**{key: quote(str(value), safe="") for key, value in (case.path_parameters or {}).items()})
        plain = {key: value for key, value in (case.query or {}).items() if isinstance(value, str | int)}
        body = b"" if case.body.__class__.__name__ == "NotSet" else json.dumps(case.body, default=str).encode()
        query = urlencode(plain, errors="replace")
        status, content = await door.call(case.method, path, query, {"Content-Type": case.media_type or "application/json"}, body)
        assert status < 500 or any(text in content for text in ALLOWED), (case.method, path, plain, body, content)
        if content[:1] == b"{":
            assert json.loads(content)["kind"]
    finally:
        await door.live.close()
