"""The one form of a Sentinel URL."""

from __future__ import annotations

import pytest

from worker.settings.redis_url import SentinelUrl, address, for_celery


def test_names_the_sentinels_the_service_and_the_database():
    url = SentinelUrl.parse("sentinel://one:26380,two,[::1]:26381/mymaster/3")

    assert url.hosts == (("one", 26380), ("two", 26379), ("::1", 26381))
    assert (url.service, url.db) == ("mymaster", 3)
    assert (url.credentials, url.sentinel_credentials) == ({}, {})


def test_has_credentials_for_redis_and_for_the_sentinels():
    url = SentinelUrl.parse("sentinel://ann:p%40ss@one/m?sentinel_password=other")

    assert url.credentials == {"username": "ann", "password": "p@ss"}
    assert url.sentinel_credentials == {"password": "other"}


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("sentinel://one,two:26380/m/2", "sentinel://one:26379/2;sentinel://two:26380/2"),
        ("sentinel://:p%40ss@one/m", "sentinel://:p%40ss@one:26379/0"),
        ("sentinel://[::1]:26381/m", "sentinel://[::1]:26381/0"),
    ],
)
def test_says_the_same_in_celerys_words(url, celery):
    assert SentinelUrl.parse(url).as_celery() == celery


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0"),
        ("redis://ann:hunter2@one:6379/0", "redis://one:6379/0"),
        (
            "rediss://:hunter2@[::1]:6379?ssl_keyfile=/hunter2&ssl_cert_reqs=required",
            "rediss://[::1]:6379",
        ),
        ("unix://:hunter2@/run/redis.sock", "unix:///run/redis.sock"),
        ("sentinel://ann:hunter2@one,two/m?sentinel_password=hunter3", "sentinel://one,two/m"),
    ],
)
def test_is_shown_without_its_secrets(url, shown):
    assert address(url) == shown


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://:a;b@127.0.0.1:1/0", "redis://:a%3Bb@127.0.0.1:1/0"),
        ("unix:///tmp/x;y.sock?db=2", "socket:///tmp/x%3By.sock?virtual_host=2"),
    ],
)
def test_a_semicolon_is_no_second_url_for_celery(url, celery):
    assert for_celery(url) == celery
