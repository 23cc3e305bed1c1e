"""What a proxy counts: a pod's annotations and its ProxyConfig, as the bootstrap's statistics section wants them.

Must not read anything else.
"""

from collections.abc import Mapping, Sequence

import msgspec

from lateen.api.meshconfig import ProxyConfig
from lateen.util import durations
from lateen.xds.bootstrapstats import StatsPlan

__all__ = ["stats_plan"]

_STATS = "sidecar.istio.io/stats"
_FLUSH = 5 * durations.SECOND  # Envoy's own


def stats_plan(annotations: Mapping[str, str], proxy: ProxyConfig, addresses: Sequence[str]) -> StatsPlan:
    """An annotation takes the place of the matcher's list of its kind; a prefix with {pod_ip} counts for each address."""
    flush, evict = (_interval(annotations, f"{_STATS}{kind}Interval") for kind in ("Flush", "Eviction"))
    kept = [_words(annotations.get(f"{_STATS}Inclusion{kind}", "")) for kind in ("Prefixes", "Suffixes", "Regexps")]
    matcher = proxy.proxy_stats_matcher
    if matcher is not None:
        asked = (matcher.inclusion_prefixes, matcher.inclusion_suffixes, matcher.inclusion_regexps)
        kept = [ours or theirs for ours, theirs in zip(kept, asked, strict=True)]
    prefixes, suffixes, regexes = kept
    return StatsPlan(
        prefixes=tuple(p.replace("{pod_ip}", ip) for p in prefixes for ip in (addresses if "{pod_ip}" in p else addresses[:1])),
        suffixes=suffixes,
        regexes=regexes,
        tags=(*proxy.extra_stat_tags, *_words(annotations.get("sidecar.istio.io/extraStatTags", ""))),
        buckets=_buckets(annotations.get(f"{_STATS}HistogramBuckets", "")),
        flush_interval=flush,
        eviction_interval=0 if evict % (flush or _FLUSH) else evict,  # Envoy takes no other
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _interval(annotations: Mapping[str, str], name: str) -> int:
    text = annotations.get(name, "")
    return durations.parse(text) if text else 0


def _buckets(text: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Bounds by prefix out of a JSON object; what is none says nothing."""
    try:
        given = msgspec.json.decode(text or "{}", type=dict[str, tuple[float, ...]])
    except msgspec.DecodeError:
        return ()
    return tuple(sorted(given.items()))
