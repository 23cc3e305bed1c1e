"""Pod annotations change what is intercepted."""

import pytest

from lateen.netfilter.settings import Settings, from_annotations

T = "traffic.sidecar.istio.io/"


def test_without_annotations_the_settings_stay() -> None:
    """A pod that says nothing gets the defaults."""
    assert from_annotations({"app": "reviews"}, Settings()) == (Settings(), ())


def test_lists_replace_the_defaults() -> None:
    """Ports and ranges are read with their blanks; a lone * is everything."""
    settings, problems = from_annotations(
        {T + "includeInboundPorts": "8080, 9090", T + "includeOutboundIPRanges": "10.0.0.0/8,1.2.3.4", T + "excludeOutboundPorts": "3306"},
        Settings(),
    )
    assert not problems
    assert (settings.inbound_ports, settings.outbound_ranges) == (("8080", "9090"), ("10.0.0.0/8", "1.2.3.4/32"))
    assert settings.excluded_outbound_ports == ("3306",)
    assert from_annotations({T + "includeInboundPorts": "*"}, Settings(inbound_ports=()))[0].inbound_ports == ("*",)


def test_an_empty_list_intercepts_nothing() -> None:
    """`includeInboundPorts: ""` leaves all incoming connections alone, as in Istio."""
    assert from_annotations({T + "includeInboundPorts": ""}, Settings())[0].inbound_ports == ()


def test_excluded_inbound_ports_keep_the_sidecars_own() -> None:
    """Health and metrics of the sidecar stay reachable whatever a pod excludes."""
    settings, _ = from_annotations({T + "excludeInboundPorts": "22,15021"}, Settings())
    assert settings.excluded_inbound_ports == ("15090", "15021", "15020", "22")


def test_mode_is_read() -> None:
    """`interceptionMode: TPROXY` chooses TPROXY."""
    assert from_annotations({"sidecar.istio.io/interceptionMode": "TPROXY"}, Settings())[0].mode == "TPROXY"


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (T + "excludeOutboundPorts", "80,http", "'http' is not a port"),
        (T + "includeInboundPorts", "70000", "'70000' is not a port"),
        (T + "excludeOutboundIPRanges", "10.0.0.0/99", "neither an IP address nor a range"),
        (T + "excludeInterfaces", 'eth0" accept', "is not the name of a network interface"),
        ("sidecar.istio.io/interceptionMode", "NONSENSE", "neither REDIRECT nor TPROXY"),
    ],
)
def test_what_cannot_be_understood_is_left_out_and_said(annotation: str, value: str, said: str) -> None:
    """A bad annotation changes nothing and gives a sentence that names it."""
    settings, problems = from_annotations({annotation: value}, Settings())
    assert settings == Settings()
    assert len(problems) == 1
    assert annotation in problems[0]
    assert said in problems[0]
