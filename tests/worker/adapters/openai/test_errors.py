"""Every way in which the SDK fails has a word of ours."""

from __future__ import annotations

import email.utils
import inspect
import time

import httpx2
import openai
import pytest

from tasks.errors import ErrorCode, ModelError
from worker.adapters.openai.errors import TERMINAL_CODES, retry_after_seconds, translate

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
# Classes of the SDK that a call of `responses.create` cannot raise, each with the reason.
NOT_OURS = {
    "InvalidWebhookSignatureError": "webhooks are not used",
    "WebSocketConnectionClosedError": "the realtime interface is not used",
    "WebSocketQueueFullError": "the realtime interface is not used",
}
STATUS_CODES = {
    400: ErrorCode.OPENAI_BAD_REQUEST,
    401: ErrorCode.OPENAI_AUTH_ERROR,
    403: ErrorCode.OPENAI_BAD_REQUEST,
    404: ErrorCode.OPENAI_BAD_REQUEST,
    408: ErrorCode.OPENAI_SERVER_ERROR,
    409: ErrorCode.OPENAI_SERVER_ERROR,
    413: ErrorCode.OPENAI_BAD_REQUEST,
    422: ErrorCode.OPENAI_BAD_REQUEST,
    429: ErrorCode.OPENAI_RATE_LIMITED,
    500: ErrorCode.OPENAI_SERVER_ERROR,
    502: ErrorCode.OPENAI_SERVER_ERROR,
    503: ErrorCode.OPENAI_SERVER_ERROR,
    529: ErrorCode.OPENAI_SERVER_ERROR,
}


def status_error(status, *, code=None, headers=None, cls=openai.APIStatusError):
    response = httpx2.Response(status, request=REQUEST, headers=headers or {})
    return cls("the prompt is quoted here", response=response, body={"code": code, "type": None})


def error_classes():
    found = vars(openai._exceptions).values()
    return [
        each for each in found if inspect.isclass(each) and issubclass(each, openai.OpenAIError | ValueError)
    ]


def an_instance(cls):
    if issubclass(cls, openai.APIStatusError):
        return cls.__new__(cls, "m") if cls.__name__ == "OAuthError" else status_error(418, cls=cls)
    instance = cls.__new__(cls)
    Exception.__init__(instance, "m")
    return instance


@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__name__)
def test_every_error_class_of_the_sdk_is_mapped(cls):
    if cls.__name__ in NOT_OURS:
        return
    instance = an_instance(cls)
    if cls.__name__ == "OAuthError":
        instance.status_code, instance.code, instance.type = 401, None, None

    assert isinstance(translate(instance), ModelError)


@pytest.mark.parametrize(("status", "code"), STATUS_CODES.items())
def test_maps_statuses(status, code):
    error = translate(status_error(status))

    assert error.code is code
    assert error.retryable is (code in {ErrorCode.OPENAI_RATE_LIMITED, ErrorCode.OPENAI_SERVER_ERROR})
    assert not error.billed


@pytest.mark.parametrize("code", sorted(TERMINAL_CODES))
def test_an_empty_purse_is_not_a_busy_minute(code):
    error = translate(status_error(429, code=code))

    assert (error.code, error.retryable) == (ErrorCode.OPENAI_QUOTA_EXHAUSTED, False)


@pytest.mark.parametrize(
    "error",
    [
        openai.APITimeoutError(REQUEST),
        openai.APIConnectionError(request=REQUEST),
        TimeoutError(),
        OSError(),
        httpx2.ReadError("x"),
    ],
)
def test_a_lost_request_may_have_been_charged_and_may_be_retried(error):
    translated = translate(error)

    assert (translated.retryable, translated.billed) == (True, True)


def test_the_detail_never_quotes_the_servers_message():
    assert "quoted" not in str(translate(status_error(400, code="weird code with blanks")))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "nan", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "-1", "retry-after": "7"}, 7.0),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "3600"}, 3600.0),
    ],
)
def test_reads_how_long_to_wait(headers, seconds):
    assert retry_after_seconds(headers) == seconds


def test_reads_an_http_date():
    then_wall = int(time.time()) + 3600
    header = email.utils.formatdate(then_wall, usegmt=True)

    before_wall = time.time()
    seconds = retry_after_seconds({"retry-after": header})

    assert then_wall - time.time() <= seconds <= then_wall - before_wall


def test_a_date_in_the_past_means_now():
    assert retry_after_seconds({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
@pytest.mark.parametrize("asked", ["1e18", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_servers_word_holds_back_for_longer_than_an_hour(name, asked):
    assert retry_after_seconds({name: asked}) in {3600.0, None}
