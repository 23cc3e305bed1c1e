"""ADS dialogues: what a client asks and answers, and what it is sent, without gRPC."""

from lateen.ads.messages import CDS, ECDS, EDS, LDS, RDS, Push, Request
from lateen.ads.stream import Stream
from lateen.api.meta import Key
from lateen.model.frame import Frame, Snapshot, make_frame


def frame(type_url: str, name: str, version: str = "1") -> Frame:
    return make_frame(name=name, type_url=type_url, version=version, resource=f"{name}@{version}".encode())


def snapshot(**resources: tuple[str, ...]) -> Snapshot:
    """Resources by type, each as its name or as name@version."""
    urls = {"cds": CDS, "eds": EDS, "lds": LDS, "rds": RDS}
    out: dict[str, dict[str, Frame]] = {url: {} for url in urls.values()}
    for short, entries in resources.items():
        for entry in entries:
            name, _, version = entry.partition("@")
            out[urls[short]][name] = frame(urls[short], name, version or "1")
    return out


def names(push: Push) -> list[str]:
    return sorted(f"{f.name}@{f.version}" for f in push.frames)


def ask(type_url: str, *subscribe: str, **fields: object) -> Request:
    return Request(type_url=type_url, subscribe=subscribe, **fields)  # type: ignore[arg-type]


def ack(push: Push) -> Request:
    return Request(type_url=push.type_url, nonce=push.nonce)


def connected(snap: Snapshot) -> Stream:
    """A delta client that holds all of `snap` and has answered everything, as Envoy does at start."""
    stream = Stream(snap, sotw=False)
    for type_url, subscribe in ((CDS, ()), (EDS, tuple(snap[EDS])), (LDS, ()), (RDS, tuple(snap[RDS]))):
        for push in stream.on_request(ask(type_url, *subscribe)):
            stream.on_request(ack(push))
    return stream


def test_first_request_without_names_is_a_wildcard() -> None:
    """A client that names nothing first gets every cluster."""
    (push,) = Stream(snapshot(cds=("a", "b")), sotw=False).on_request(ask(CDS))
    assert names(push) == ["a@1", "b@1"]


def test_an_empty_type_is_answered_once_so_that_the_client_starts() -> None:
    """Envoy waits for a first answer of each type, also when there is nothing."""
    stream = Stream(snapshot(), sotw=False)
    (push,) = stream.on_request(ask(LDS))
    assert (names(push), push.removed) == ([], ())
    assert stream.on_request(ack(push)) == ()


def test_named_resources_only_are_sent_and_unknown_names_are_told_absent() -> None:
    """Asking for a route that does not exist is answered with its removal, so that the listener stops waiting."""
    (push,) = Stream(snapshot(rds=("80", "90")), sotw=False).on_request(ask(RDS, "80", "70"))
    assert (names(push), push.removed) == (["80@1"], ("70",))


def test_only_what_changed_is_sent() -> None:
    """A new version of one cluster is sent alone; its endpoints follow because Envoy warms it again without asking."""
    stream = connected(snapshot(cds=("a", "b"), eds=("a", "b")))
    pushes = stream.on_snapshot(snapshot(cds=("a@2", "b"), eds=("a", "b")))
    assert [(p.type_url, names(p)) for p in pushes] == [(CDS, ["a@2"]), (EDS, ["a@1"])]


def test_an_unchanged_snapshot_sends_nothing() -> None:
    """Equal versions are not sent again although the frames are other objects."""
    assert connected(snapshot(cds=("a",), lds=("l",))).on_snapshot(snapshot(cds=("a",), lds=("l",))) == ()


def test_routes_wait_until_new_clusters_and_their_endpoints_are_answered() -> None:
    """Make before break: the route that names cluster b goes out only after b and its endpoints were acknowledged."""
    stream = connected(snapshot(cds=("a",), eds=("a",), lds=("l",), rds=("80",)))
    (clusters,) = stream.on_snapshot(snapshot(cds=("a", "b"), eds=("a", "b"), lds=("l",), rds=("80@2",)))
    assert names(clusters) == ["b@1"]
    assert stream.on_request(ack(clusters)) == ()
    (endpoints,) = stream.on_request(ask(EDS, "b"))
    assert names(endpoints) == ["b@1"]
    (routes,) = stream.on_request(ack(endpoints))
    assert names(routes) == ["80@2"]


def test_a_client_that_never_asks_for_endpoints_does_not_hold_routes_back_for_ever() -> None:
    """When patience is over, listeners and routes go out all the same."""
    stream = connected(snapshot(cds=("a",), eds=("a",), rds=("80",)))
    (clusters,) = stream.on_snapshot(snapshot(cds=("a", "b"), eds=("a", "b"), rds=("80@2",)))
    stream.on_request(ack(clusters))
    assert stream.waits
    (routes,) = stream.on_patience_over()
    assert names(routes) == ["80@2"]


def test_a_cluster_is_removed_only_after_the_routes_that_left_it_were_answered() -> None:
    """Break last: the removal of cluster b waits for the acknowledgement of the route change."""
    stream = connected(snapshot(cds=("a", "b"), eds=("a", "b"), rds=("80",)))
    (routes,) = stream.on_snapshot(snapshot(cds=("a",), eds=("a",), rds=("80@2",)))
    assert names(routes) == ["80@2"]
    pushes = stream.on_request(ack(routes))
    assert [(p.type_url, p.removed) for p in pushes] == [(CDS, ("b",)), (EDS, ("b",))]


def test_a_refused_push_is_not_sent_again_until_it_changes() -> None:
    """NACK: the error and the frame it names are kept; the same version is not resent, the next one is."""
    stream = connected(snapshot(lds=("good", "bad")))
    (push,) = stream.on_snapshot(snapshot(lds=("good@2", "bad@2")))
    refused = Request(type_url=LDS, nonce=push.nonce, error="Error adding/updating listener(s) bad: no such cluster")
    assert stream.on_request(refused) == ()
    assert [f.name for f in stream.nacks[LDS].frames] == ["bad"]
    (again,) = stream.on_snapshot(snapshot(lds=("good@2", "bad@3")))
    assert names(again) == ["bad@3"]
    stream.on_request(ack(again))
    assert stream.nacks == {}


def test_a_refusal_that_names_nothing_blames_the_whole_push() -> None:
    """Without a name in Envoy's words every frame of the push is suspect."""
    stream = connected(snapshot(rds=("80", "90")))
    (push,) = stream.on_snapshot(snapshot(rds=("80@2", "90@2")))
    stream.on_request(Request(type_url=RDS, nonce=push.nonce, error="bad regex"))
    assert [f.name for f in stream.nacks[RDS].frames] == ["80", "90"]


def test_a_refusal_stands_while_other_resources_change() -> None:
    """What the client takes later says nothing about what it refused, until that comes again or goes."""
    stream = connected(snapshot(lds=("good", "bad")))
    (push,) = stream.on_snapshot(snapshot(lds=("good", "bad@2")))
    stream.on_request(Request(type_url=LDS, nonce=push.nonce, error="listener bad: no such filter"))
    (other,) = stream.on_snapshot(snapshot(lds=("good@2", "bad@2")))
    stream.on_request(ack(other))
    assert [f.name for f in stream.nacks[LDS].frames] == ["bad"]
    (removal,) = stream.on_snapshot(snapshot(lds=("good@2",)))
    stream.on_request(ack(removal))
    assert stream.nacks == {}


def test_what_was_refused_together_is_sent_again_together() -> None:
    """Envoy stops at the first bad resource of a push: the others come again with the next change, as it may not have taken them."""
    stream = connected(snapshot(rds=("80", "90")))
    (push,) = stream.on_snapshot(snapshot(rds=("80@2", "90@2")))
    assert stream.on_request(Request(type_url=RDS, nonce=push.nonce, error="bad regex")) == ()
    (again,) = stream.on_snapshot(snapshot(rds=("80@3", "90@2")))
    assert names(again) == ["80@3", "90@2"]
    assert stream.on_request(ack(again)) == ()
    assert stream.nacks == {}


def test_of_a_refused_route_configuration_what_changed_is_at_fault() -> None:
    """The objects that the accepted version was made of are not blamed; the changed one is. Without an accepted one, all are."""

    def made_of(version: str, *owners: tuple[str, int]) -> Snapshot:
        keys = tuple((Key("VirtualService", "default", name), generation) for name, generation in owners)
        return {RDS: {"80": make_frame(name="80", type_url=RDS, version=version, resource=version.encode(), owners=keys)}}

    stream = Stream(made_of("1", ("a", 1), ("b", 1)), sotw=False)
    (first,) = stream.on_request(ask(RDS, "80"))
    stream.on_request(Request(type_url=RDS, nonce=first.nonce, error="bad regex"))
    assert sorted(key.name for key, _ in stream.nacks[RDS].owners) == ["a", "b"]
    (second,) = stream.on_snapshot(made_of("2", ("a", 2), ("b", 1)))
    stream.on_request(ack(second))
    (third,) = stream.on_snapshot(made_of("3", ("a", 2), ("b", 2)))
    stream.on_request(Request(type_url=RDS, nonce=third.nonce, error="bad regex"))
    assert [(key.name, generation) for key, generation in stream.nacks[RDS].owners] == [("b", 2)]


def test_a_slow_client_gets_the_latest_state_only() -> None:
    """While a push is unanswered, further changes are not queued; the answer brings the last state."""
    stream = connected(snapshot(lds=("l",)))
    (first,) = stream.on_snapshot(snapshot(lds=("l@2",)))
    assert stream.on_snapshot(snapshot(lds=("l@3",))) == ()
    assert stream.on_snapshot(snapshot(lds=("l@4",))) == ()
    (second,) = stream.on_request(ack(first))
    assert names(second) == ["l@4"]


def test_a_reconnecting_client_is_sent_the_difference() -> None:
    """initial_resource_versions: the same version is not sent, another is, a vanished name is removed."""
    stream = Stream(snapshot(cds=("same", "newer@2")), sotw=False)
    (push,) = stream.on_request(ask(CDS, "*", initial={"same": "1", "newer": "1", "gone": "1"}))
    assert (names(push), push.removed) == (["newer@2"], ("gone",))


def test_a_stale_nonce_is_ignored_in_state_of_the_world() -> None:
    """An answer to an older push changes nothing."""
    stream = Stream(snapshot(cds=("a",)), sotw=True)
    (push,) = stream.on_request(ask(CDS, replace=True))
    assert stream.on_request(ask(CDS, replace=True, nonce="99")) == ()
    assert not stream.synced(CDS)
    stream.on_request(ask(CDS, replace=True, nonce=push.nonce))
    assert stream.synced(CDS)


def test_state_of_the_world_sends_the_whole_set_at_a_change() -> None:
    """One changed cluster of two: both are sent, as the missing one would count as removed."""
    stream = Stream(snapshot(cds=("a", "b")), sotw=True)
    (push,) = stream.on_request(ask(CDS, replace=True))
    stream.on_request(ask(CDS, replace=True, nonce=push.nonce))
    (change,) = stream.on_snapshot(snapshot(cds=("a@2", "b")))
    assert names(change) == ["a@2", "b@1"]


def test_a_name_asked_for_again_is_sent_again() -> None:
    """Envoy unsubscribed and subscribed anew: it no longer holds the resource."""
    stream = connected(snapshot(rds=("80",)))
    stream.on_request(Request(type_url=RDS, unsubscribe=("80",)))
    (push,) = stream.on_request(ask(RDS, "80"))
    assert names(push) == ["80@1"]


def test_a_cluster_goes_only_after_the_listener_that_led_to_it() -> None:
    """Listener, route and cluster vanish together: the client gives up the listener first."""
    stream = connected(snapshot(cds=("a", "b"), eds=("a", "b"), lds=("80",), rds=("80",)))
    pushes = stream.on_snapshot(snapshot(cds=("b",), eds=("b",)))
    assert [push.type_url for push in pushes] == [LDS, RDS]
    later = [push for one in pushes for push in stream.on_request(ack(one))]
    assert (CDS, ("a",)) in [(push.type_url, push.removed) for push in later]


def test_a_new_set_of_names_counts_under_the_nonce_already_answered() -> None:
    """A state-of-the-world client asks for more endpoints with the nonce of the last push, which it has answered long ago."""
    stream = Stream(snapshot(eds=("a", "b")), sotw=True)
    (first,) = stream.on_request(ask(EDS, "a", replace=True))
    assert stream.on_request(ask(EDS, "a", replace=True, nonce=first.nonce)) == ()
    (second,) = stream.on_request(ask(EDS, "a", "b", replace=True, nonce=first.nonce))
    assert names(second) == ["a@1", "b@1"]


def test_configurations_of_filters_are_not_taken_away() -> None:
    """A chain that drains still serves with them; the stream is in sync all the same."""
    stream = Stream({ECDS: {"rules": frame(ECDS, "rules")}}, sotw=False)
    pushed = stream.on_request(ask(ECDS, "rules"))
    stream.on_request(ack(pushed[0]))
    assert stream.on_snapshot({ECDS: {}}) == ()
    assert stream.synced(ECDS)


def test_types_that_nobody_has_are_not_answered_and_not_kept() -> None:
    """Whatever a client makes up."""
    stream = connected(snapshot(cds=("c",)))
    before = stream.types
    assert stream.on_request(ask("type.googleapis.com/none", "x" * 100)) == ()
    assert stream.types == before
    assert stream.excess is None


def test_names_that_are_none_of_the_proxys_are_kept_only_so_long() -> None:
    """A mebibyte of them in all types together; names that were let go, and those that the proxy has, do not count."""
    known = "k" * 900_000
    stream = connected(snapshot(eds=(known,)))
    half = "x" * 600_000
    stream.on_request(ask(EDS, half, known))
    assert stream.excess is None
    stream.on_request(ask(RDS, half))
    assert "1024 KiB of names" in str(stream.excess)
    stream.on_request(ask(EDS, "y", unsubscribe=(half,)))
    assert stream.excess is None
