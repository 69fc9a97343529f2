"""A proxy that no request could take ends the process with its name, its value and the remedy."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode, ModelError
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.openai.model import OpenAIModel, open_client
from worker.settings.proxies import refuse_bad_proxies
from worker.settings.settings import BadSetting

ELSEWHERE = "https://api.nowhere.test/v1"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in (*VARIABLES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


BAD = [
    "http://h:port",
    "http://h:99999",
    "http://h:-1",
    "http://h:0",
    "htp://h:1",
    "socks4://h:1",
    "socks5://h:1",
    "socks5h://h:1",
    "[",
    "http://[::1",
    "http://[::g]:1",
    "http:// h:1",
    " http://h:1",
    "http://h:1 ",
    "  ",
    "http://h:1\n",
    "http://h\x01:1",
    "http://",
    "http://:1",
    "//h:1",
    "http://a..b:1",
    "http://1.2.3.4.5:1",
    f"http://{'a' * 70}:1",
    "http://h\\x:1",
]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("variable", [*VARIABLES, "https_proxy"])
def test_is_refused_by_name_value_and_remedy(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    with pytest.raises(BadSetting) as refusal:
        refuse_bad_proxies(ELSEWHERE)

    assert str(refusal.value).startswith(
        f"{variable} is {value!r}; set http://HOST:PORT or https://HOST:PORT"
    )
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("value", ["htp://ann:hunter2@h:1", "ann:hunter2@h:port", "http://a%3An:hunter2@h:1"])
def test_no_refusal_says_a_password(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", value)

    with pytest.raises(BadSetting, match=r"^HTTPS_PROXY is '.*…@h:") as refusal:
        refuse_bad_proxies(ELSEWHERE)

    assert "hunter2" not in str(refusal.value)


# How the SDK's transport hands over a password.
@pytest.mark.filterwarnings(
    "ignore:BasicAuth:DeprecationWarning", "ignore:The 'proxy_auth':DeprecationWarning"
)
@pytest.mark.parametrize(
    "value",
    [
        "http://127.0.0.1:1",
        "HTTP://127.0.0.1:1",
        "https://127.0.0.1:1",
        "127.0.0.1:1",
        "http://[::1]:1",
        "http://ann:hunter%402@127.0.0.1:1",
        "http://ann:hünter@127.0.0.1:1",
        "ann:hunter2@127.0.0.1:1",
        "http://127.0.0.1:1/",
    ],
)
def test_one_that_passes_is_asked(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", value)

    async def respond():
        client = open_client("key", ELSEWHERE, 1)
        try:
            await OpenAIModel(client, lambda *_: None, lambda _: None).respond(a_request())
        finally:
            await client.close()

    refuse_bad_proxies(ELSEWHERE)
    # It is down: whoever does not ask it would look for the server's address instead.
    with pytest.raises(ModelError, match=r"ConnectionRefusedError|OSError") as refused:
        asyncio.run(respond())

    assert refused.value.code is ErrorCode.OPENAI_CONNECTION_ERROR


@pytest.mark.parametrize(
    "value", ["[", "a b", "a.test b.test", "h:port", "[::1", "h:99999", "\x01", "https://"]
)
def test_a_list_of_hosts_without_a_proxy_names_its_entry(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", f"localhost,{value}, other.test")

    with pytest.raises(BadSetting) as refusal:
        refuse_bad_proxies(ELSEWHERE)

    assert str(refusal.value).startswith(f"NO_PROXY has {value!r}; set hosts and addresses with commas")


def test_every_usual_form_of_a_host_without_a_proxy_passes(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv(
        "NO_PROXY",
        "*,localhost,.cluster.local,*.svc,a.test:8080,10.0.0.0/8,::1,[::1],[::1]:80,fd00::/8,https://b.test,,",
    )

    refuse_bad_proxies(ELSEWHERE)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "http://localhost:9/v1"])
def test_what_no_request_takes_is_nobodys_trouble(monkeypatch, base_url):
    monkeypatch.setenv("NO_PROXY", "[")
    refuse_bad_proxies(ELSEWHERE)
    monkeypatch.setenv("HTTPS_PROXY", "[")

    refuse_bad_proxies(base_url)
