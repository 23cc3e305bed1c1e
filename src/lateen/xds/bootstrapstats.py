"""Prints which statistics an Envoy keeps, and how their names are split into tags.

Only a short list is kept (decision of Istio's bootstrap): without it a thousand clusters cost 35 MB and a scrape 25 MB. Users add to it
with annotations. Must not read annotations: the plan has them.
"""

from collections.abc import Iterable

from envoy.config.metrics.v3 import stats_pb2
from envoy.type.matcher.v3 import string_pb2
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from msgspec import Struct

__all__ = ["StatsPlan", "build_stats_config"]

_PREFIXES = ("cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")
_SUFFIXES = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
_REGEXES = (r"vhost\..*\.route\..*",)
_LAST_PREFIXES = ("component", "istio")

_TAGS = (
    ("cluster_name", r"^cluster(\.(.+);)"),
    ("http_conn_manager_prefix", r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)"),
    ("thread_name", r"^server(\.(.+))\.watchdog"),
    ("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    ("http_conn_manager_listener_prefix", r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("listener_address", r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("mongo_prefix", r"^mongo\.(.+?)\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$"),
)
_LAST_TAGS = (
    ("cache", r"(cache\.(.+?)\.)"),
    ("component", r"(component\.(.+?)\.)"),
    ("tag", r"(tag\.(.+?);\.)"),
    ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
    ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
    ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
)


class StatsPlan(Struct, frozen=True, kw_only=True):
    """What a proxy keeps beyond the short list; nanoseconds between flushes, 0 for Envoy's own 5 s, and until
    what was not counted meanwhile is forgotten, 0 for never.
    """

    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    buckets: tuple[tuple[str, tuple[float, ...]], ...] = ()  # prefix -> bounds
    flush_interval: int = 0
    eviction_interval: int = 0


def build_stats_config(plan: StatsPlan) -> stats_pb2.StatsConfig:
    """The statistics section of a bootstrap."""
    config = stats_pb2.StatsConfig()
    config.use_all_default_tags.value = False
    extra = tuple((name, rf"({name}=\.=(.*?);\.;)") for name in plan.tags)
    for name, regex in (*_TAGS, *extra, *_LAST_TAGS):
        config.stats_tags.add(tag_name=name, regex=regex)
    for prefix, bounds in plan.buckets:
        config.histogram_bucket_settings.add(buckets=bounds).match.prefix = prefix
    patterns = config.stats_matcher.inclusion_list.patterns
    _add(patterns, "prefix", ("reporter=", *plan.prefixes, *_PREFIXES))
    _add(patterns, "suffix", (*plan.suffixes, *_SUFFIXES))
    for regex in (*plan.regexes, *_REGEXES):
        patterns.add().safe_regex.regex = regex
    _add(patterns, "prefix", _LAST_PREFIXES)
    return config


def _add(patterns: RepeatedCompositeFieldContainer[string_pb2.StringMatcher], field: str, values: Iterable[str]) -> None:
    for value in values:
        setattr(patterns.add(), field, value)
