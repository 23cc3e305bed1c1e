"""Counters and histograms in Prometheus' text format, read back by its own client library."""

from prometheus_client.parser import text_string_to_metric_families

from lateen.runtime.metrics import Reading, Registry


def samples(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every line's name and labels, with its value; the library's own ending of counters' names taken off."""
    text = registry.text()
    declared = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            short = one.name.removesuffix("_total")
            found[short if short in declared else one.name, tuple(sorted(one.labels.items()))] = one.value
    return found


def test_a_counter_keeps_its_name_and_counts_per_label() -> None:
    """No `_total` is added; one without labels is there before anything was counted."""
    registry = Registry()
    pushes, plain = registry.counter("pilot_xds_pushes", "Pushes.", "type"), registry.counter("csr_count", "Requests.")
    pushes.add("cds")
    pushes.add("cds")
    pushes.add("lds", by=3)
    assert plain is not pushes
    assert samples(registry) == {
        ("pilot_xds_pushes", (("type", "cds"),)): 2,
        ("pilot_xds_pushes", (("type", "lds"),)): 3,
        ("csr_count", ()): 0,
    }
    assert '# TYPE pilot_xds_pushes counter\npilot_xds_pushes{type="cds"} 2\n' in registry.text()


def test_a_histogram_counts_up_to_and_with_each_bound() -> None:
    """What equals a bound is in its bucket; what is above all is in the last."""
    registry = Registry()
    times = registry.histogram("seconds", "Times.", (0.1, 1), "type")
    for value in (0.1, 0.5, 7):
        times.observe(value, "cds")
    found = samples(registry)
    buckets = [found["seconds_bucket", (("le", bound), ("type", "cds"))] for bound in ("0.1", "1", "+Inf")]
    assert buckets == [1, 2, 3]
    assert (found["seconds_sum", (("type", "cds"),)], found["seconds_count", (("type", "cds"),)]) == (7.6, 3)


def test_label_values_of_any_text_come_back_as_they_were() -> None:
    """Quotes, backslashes and new lines, which a node's id may hold."""
    registry = Registry()
    registry.reads(lambda: [Reading("held", "Held.", ("node",), {('a"b\\c\nd',): 2.5})])
    assert samples(registry) == {("held", (("node", 'a"b\\c\nd'),)): 2.5}
