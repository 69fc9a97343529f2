"""Says in a message which trace it belongs to, by W3C's Trace Context."""

import re
import sys

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_headers(traceparent: str | None) -> dict[str, str]:
    """Return the headers for `traceparent`, or without one for OpenTelemetry's active span; {} without both.

    Raises ValueError when `traceparent` is none.
    """
    if traceparent is not None:
        if not _TRACEPARENT.fullmatch(traceparent):
            raise ValueError(
                f"traceparent is {traceparent[:64]!r}; pass 00-TRACE-SPAN-FLAGS with 32, 16 and 2 digits of "
                "lower-case hexadecimal, or leave it out"
            )
        return {"traceparent": traceparent}
    # Whoever has a span active has imported it; nobody else needs to have it.
    if (api := sys.modules.get("opentelemetry.trace")) is None:
        return {}
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    found = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"}
    state = context.trace_state.to_header()
    return found | ({"tracestate": state} if state else {})
