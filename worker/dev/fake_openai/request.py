"""Reads a request to POST /v1/responses, and refuses what the real API would."""

import json
import re
from dataclasses import dataclass
from typing import Any

from worker.dev.fake_openai.strict_schema import strict_fault

_BEFORE_CACHE_OPTIONS = re.compile(r"gpt-4|o[134]|gpt-5(-|$|\.[0-5])")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LEAST_OUTPUT_TOKENS = 16
# What a response calls each tier that a request may name; where the project decides, it names none.
_TIERS = {
    "auto": None,
    "default": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "priority",
    "ultrafast": "ultrafast",
}
_PARAMETER_LIST = (
    "access_programs background background_options context_management conversation image include input "
    "instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning "
    "safety_identifier service_tier store stream stream_options temperature text tool_choice tools "
    "top_logprobs top_p truncation user"
)


class RefusedError(Exception):
    """The API's error answer to this request."""

    status = 400

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.document = error_document(message, param=param, code=code)


def error_document(message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return the body of an API error."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a valid request asks for; `schema` is None for plain text, `tier` is what a response calls it.

    `moderation` is the model that is to moderate it, None for none.
    """

    model: str
    instructions: str
    input_text: str
    schema: dict[str, Any] | None
    max_output_tokens: int | None
    tier: str | None
    moderation: str | None


def read_request(body: bytes) -> Asked:
    """Return what `body` asks for. Raises RefusedError."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RefusedError("We could not parse the JSON body of your request.")
    _check_parameters(document)
    given = document["input"]
    return Asked(
        model=document["model"],
        instructions=str(document.get("instructions") or ""),
        input_text=given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
        schema=_schema(document.get("text")),
        max_output_tokens=document.get("max_output_tokens"),
        tier=_TIERS[document.get("service_tier") or "auto"],
        moderation=_moderation(document.get("moderation")),
    )


def _check_parameters(document: dict[str, Any]) -> None:
    unknown = sorted(set(document).difference(_PARAMETER_LIST.split()))
    if unknown:
        raise RefusedError(f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    for name, types in (("model", str), ("input", (str, list))):
        if not document.get(name) or not isinstance(document[name], types):
            code = "missing_required_parameter"
            raise RefusedError(f"Missing required parameter: '{name}'.", param=name, code=code)
    if document.get("stream"):
        raise RefusedError("This stand-in does not stream.", param="stream", code="unsupported_value")
    tier = document.get("service_tier")
    if tier is not None and (not isinstance(tier, str) or tier not in _TIERS):
        message = f"Invalid value: 'service_tier'. Supported values are: {', '.join(_TIERS)}."
        raise RefusedError(message, param="service_tier", code="invalid_value")
    if "prompt_cache_options" in document and _BEFORE_CACHE_OPTIONS.match(document["model"]):
        param = "prompt_cache_options"
        raise RefusedError(f"Unsupported parameter: '{param}'.", param=param, code="unsupported_parameter")
    param, limit = "max_output_tokens", document.get("max_output_tokens")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise RefusedError(f"Invalid type for '{param}'.", param=param, code="invalid_type")
    if limit is not None and limit < _LEAST_OUTPUT_TOKENS:
        message = f"Invalid '{param}': expected a value >= {_LEAST_OUTPUT_TOKENS}."
        raise RefusedError(message, param=param, code="integer_below_min_value")


def _moderation(wanted: Any) -> str | None:
    if wanted is None:
        return None
    model = wanted.get("model") if isinstance(wanted, dict) else None
    if not isinstance(model, str) or not model.startswith("omni-moderation-"):
        message = "Invalid value: 'moderation.model'. Supported values are: 'omni-moderation-latest'."
        raise RefusedError(message, param="moderation.model", code="invalid_value")
    return model


def _schema(text: Any) -> dict[str, Any] | None:
    wanted = text.get("format") if isinstance(text, dict) else None
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    if not _NAME.fullmatch(str(wanted.get("name", ""))):
        raise RefusedError("Invalid 'text.format.name'.", param="text.format.name", code="invalid_value")
    schema = wanted.get("schema")
    fault = strict_fault(schema) if wanted.get("strict") else None
    if fault or not isinstance(schema, dict):
        message = f"Invalid schema for response_format '{wanted['name']}': {fault or 'it is not an object.'}"
        raise RefusedError(message, param="text.format.schema", code="invalid_json_schema")
    return schema
