"""X-Ray's filter expressions: `parse` one, then look in the store with `where`; `complete` one that is being typed."""

from xray_lambda.viewer.filters.completion import Completion, Known, complete
from xray_lambda.viewer.filters.nodes import EVERYTHING
from xray_lambda.viewer.filters.parser import parse
from xray_lambda.viewer.filters.sql import Condition, of_services, where
from xray_lambda.viewer.filters.tokens import FilterError

__all__ = [
    "EVERYTHING",
    "Completion",
    "Condition",
    "FilterError",
    "Known",
    "complete",
    "of_services",
    "parse",
    "where",
]
