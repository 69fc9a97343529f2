"""The locked contracts: JSON Schemas (draft 2020-12), and everything that reads or enforces them."""

from schemas.loader import UnknownSchema, load, names
from schemas.outputs import OutputType, output_type, output_types, unknown_output_type
from schemas.size import depth
from schemas.strict_json import UnacceptableJson, check_depth
from schemas.strict_json import parse as parse_json
from schemas.validation import Violation, describe, is_valid, violations
from schemas.wire import strict_subset

__all__ = [
    "OutputType",
    "UnacceptableJson",
    "UnknownSchema",
    "Violation",
    "check_depth",
    "depth",
    "describe",
    "is_valid",
    "load",
    "names",
    "output_type",
    "output_types",
    "parse_json",
    "strict_subset",
    "unknown_output_type",
    "violations",
]
