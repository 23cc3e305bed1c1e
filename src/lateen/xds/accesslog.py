"""Prints access logs to files."""

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2

from lateen.model.listenerplan import AccessLogPlan

__all__ = ["build_access_log"]


def build_access_log(plan: AccessLogPlan) -> accesslog_pb2.AccessLog:
    """A file access log, text or JSON."""
    config = file_pb2.FileAccessLog(path=plan.path)
    if plan.fields:
        config.log_format.json_format.update(dict(plan.fields))
    else:
        config.log_format.text_format_source.inline_string = plan.text
    log = accesslog_pb2.AccessLog(name="envoy.access_loggers.file")
    log.typed_config.Pack(config)
    return log
