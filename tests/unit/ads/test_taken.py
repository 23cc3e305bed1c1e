"""What some client has taken: known by object and generation."""

from lateen.ads.messages import CDS, Push
from lateen.ads.nack import Taken
from lateen.api.meta import Key
from lateen.model.frame import make_frame

OWNER = (Key("DestinationRule", "default", "web"), 1)
PUSH = Push(CDS, (make_frame(name="web", type_url=CDS, version="1", resource=b"", owners=(OWNER,)),), (), "1")


def test_a_forgotten_object_is_taken_again_with_the_very_same_push() -> None:
    """Streams share the frames of a push; having noted them once must not hide that they are taken anew."""
    taken = Taken()
    taken.note(PUSH)
    assert OWNER in taken
    taken.forget(OWNER[0])
    assert OWNER not in taken
    taken.note(PUSH)
    assert OWNER in taken
