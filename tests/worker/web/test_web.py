"""`slotgen web`, a real process on a real Redis: who comes in, what a form may do, and what is seen."""

from __future__ import annotations

import json
import re
import socket
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from tests.builders import OPEN, an_allowlist
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from tests.worker.web.site import ALERTS, TOKEN, WAIT_SECONDS, a_site, secret
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.dials import RedisDials

NAMESPACE = f"web-{uuid.uuid4().hex[:8]}"
PUBLIC = "https://halt.example.org"


@pytest.fixture(scope="module")
def site(redis_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    words = ["--webhook-token-file", secret(folder, "alerts", ALERTS), "--url", PUBLIC]
    # A proxy that nobody here is.
    words += ["--proxy", "10.9.9.9"]
    with a_site(folder, redis_server.url, *words, SLOTGEN_NAMESPACE=NAMESPACE) as started:
        yield started


@pytest.fixture(scope="module")
def cookie(site):
    return site.log_in()


@pytest.fixture
def dials(redis_client):
    """The dials, all open."""
    if keys := list(redis_client.scan_iter(f"{NAMESPACE}*")):
        redis_client.delete(*keys)
    values = OPEN | {"allowlist": an_allowlist(), "rollout_percent": "50"}
    redis_client.mset({f"{NAMESPACE}:{dial}": value for dial, value in values.items()})
    return RedisDials(redis_client, NAMESPACE)


def halted(dials):
    return dials.client.get(f"{NAMESPACE}:kill") != b"false"


class TestWhoComesIn:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("HEAD", "/"),
            ("POST", "/"),
            ("GET", "/?reason"),
            ("POST", "/logout"),
            ("GET", "/halt"),
            ("GET", "/metrics"),
            ("GET", "/../etc/passwd"),
            ("POST", "/none"),
        ],
    )
    @pytest.mark.parametrize("cookie", ["", "slotgen=x", "slotgen-0=; slotgen="])
    def test_a_stranger_is_sent_to_the_login_and_does_nothing(self, site, dials, method, path, cookie):
        answer = site.ask(
            method, path, cookie=cookie, form={"reason": "x", "form": ""} if method == "POST" else None
        )

        assert (answer.status, answer.headers.get("location")) == (303, "/login")
        assert NAMESPACE not in answer.text
        assert not halted(dials)

    def test_the_right_token_and_a_name_are_a_login(self, site):
        answer = site.ask("POST", "/login", form={"name": "ann", "token": TOKEN})

        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert re.fullmatch(
            r"slotgen-\d+=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict",
            answer.headers["set-cookie"],
        )
        assert site.ask("GET", "/", cookie=answer.sets).status == 200
        assert site.ask("GET", "/login", cookie=answer.sets).headers["location"] == "/"

    def test_behind_tls_the_cookie_is_for_tls_alone(self, site):
        headers = {"Host": "halt.example.org", "Origin": PUBLIC}
        answer = site.ask("POST", "/login", form={"name": "ann", "token": TOKEN}, headers=headers)

        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.sets.startswith("__Host-slotgen-")
        assert site.ask("GET", "/", cookie=answer.sets, headers={"Host": "halt.example.org"}).status == 200
        # The same cookie, as somebody else's page without TLS could have set it.
        bare = answer.sets.removeprefix("__Host-")
        assert site.ask("GET", "/", cookie=bare, headers={"Host": "halt.example.org"}).status == 303

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            "a\nb",
            "\x1b[31m",
            "n" * 65,
            "\u202ea",
            "guard",
            "alertmanager",
            "unknown",
            "ann\u3164",
            "alertmanager\ufe0f",
        ],
    )
    def test_a_login_without_a_name_for_the_audit_is_none(self, site, name):
        assert site.ask("POST", "/login", form={"name": name, "token": TOKEN}).status in {403, 429}

    def test_a_logout_ends_the_session_for_every_copy_of_its_cookie(self, site):
        cookie = site.log_in()
        form = {"form": site.ask("GET", "/", cookie=cookie).form}

        assert site.ask("POST", "/logout", cookie=cookie, form={"form": "x"}).status == 403
        assert site.ask("POST", "/logout", cookie=cookie, form=form).headers["location"] == "/login"
        assert site.ask("GET", "/", cookie=cookie).status == 303

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Forwarded-User": "eve"},
            {"X-Forwarded-User": "eve", "X-Forwarded-For": "10.9.9.9"},
            {"X-Forwarded-User": "eve", "Forwarded": "for=10.9.9.9", "X-Real-IP": "10.9.9.9"},
        ],
    )
    def test_the_header_of_a_proxy_is_nothing_from_another_address(self, site, headers):
        assert site.ask("GET", "/", headers=headers).status == 303


def test_it_listens_on_this_machine_alone(site):
    port = int(site.host.split(":")[1])
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]

    assert [
        each for each in listening if each.endswith(f":{port:04X}") and not each.startswith("0100007F")
    ] == []
    assert f"0100007F:{port:04X}" in listening


def test_failed_logins_are_bounded_and_keep_the_right_token_out_by_no_number(redis_server, tmp_path):
    with a_site(tmp_path, redis_server.url, SLOTGEN_NAMESPACE=NAMESPACE) as site:
        wrong = [site.ask("POST", "/login", form={"name": "eve", "token": "x"}) for _ in range(30)]

        assert [each.status for each in wrong] == [403] * 10 + [429] * 20
        assert wrong[-1].headers["retry-after"] == "60"
        assert not any("set-cookie" in each.headers for each in wrong)
        assert site.log_in()
    assert site.log.events == ["web_login_refused"] * 10


@pytest.fixture(scope="module")
def behind(redis_server, tmp_path_factory):
    words = ["--proxy", "10.0.0.7", "--proxy", "127.0.0.1", "--user-header", "X-Who"]
    folder = tmp_path_factory.mktemp("behind")
    with a_site(folder, redis_server.url, *words, token=None, SLOTGEN_NAMESPACE=NAMESPACE) as site:
        yield site


class TestAProxy:
    def test_that_is_named_by_address_says_who_halts(self, behind, dials):
        page = behind.ask("GET", "/", headers={"X-Who": "ann@example.org"})
        behind.ask("POST", "/", headers={"X-Who": "ann@example.org"}, form={"form": page.form})

        assert dials.audit(1)[0].actor == "ann@example.org"

    def test_a_form_of_one_person_is_none_of_another(self, behind, dials):
        page = behind.ask("GET", "/", headers={"X-Who": "ann"})

        assert behind.ask("POST", "/", headers={"X-Who": "bob"}, form={"form": page.form}).status == 403
        assert not halted(dials)

    @pytest.mark.parametrize("sent", [(), ("",), (" ",), ("ann", "eve"), ("a\tb",), ("x" * 65,)])
    def test_without_exactly_one_name_nobody_comes_in(self, behind, sent):
        assert behind.ask("GET", "/", more=tuple(("X-Who", each) for each in sent)).status == 303

    def test_there_is_no_other_login(self, behind):
        assert 'name="token"' not in behind.ask("GET", "/login").text
        assert behind.ask("POST", "/login", form={"name": "eve", "token": ""}).status == 403


class TestForms:
    def test_a_press_halts_with_who_and_why_on_record(self, site, cookie, dials):
        answer = site.press(cookie, "the  quiz\r\nhas lists", headers={})

        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert dials.client.get(f"{NAMESPACE}:kill") == b"true"
        last = dials.audit(1)[0]
        assert (last.actor, last.command, last.reason) == ("ann", "slotgen web", "the quiz has lists")
        page = site.ask("GET", "/", cookie=cookie).text
        assert "<h1>HALTED</h1>" in page
        assert re.search(r"ann, (just now|\d+ s ago): the quiz has lists", page)
        assert "Halt confirmed" in page
        assert "slotgen resume --reason" in page
        assert "web_halted" in site.log.events

    @pytest.mark.parametrize("form", [{}, {"form": ""}, {"form": "0" * 64}, {"form": "é"}, {"x" * 9000: "y"}])
    def test_a_form_without_its_token_does_nothing(self, site, cookie, dials, form):
        assert site.ask("POST", "/", cookie=cookie, form=form).status == 403
        assert not halted(dials)

    def test_a_form_of_another_session_does_nothing(self, site, cookie, dials):
        other = site.ask("GET", "/", cookie=site.log_in("eve")).form

        assert site.ask("POST", "/", cookie=cookie, form={"form": other}).status == 403
        assert not halted(dials)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": PUBLIC},
            {"Origin": None, "Sec-Fetch-Site": None},
            {"Origin": None, "Sec-Fetch-Site": "cross-site"},
            {"Origin": None, "Sec-Fetch-Site": "same-site"},
            {"Origin": None, "Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "cross-site"},
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/login", "/logout"])
    def test_a_form_of_another_page_does_nothing(self, site, cookie, dials, headers, path):
        form = {"form": site.ask("GET", "/", cookie=cookie).form, "name": "ann", "token": TOKEN}
        answer = site.ask("POST", path, cookie=cookie, form=form, headers=headers)

        assert (answer.status, answer.sets) == (403, "")
        assert not halted(dials)
        assert site.ask("GET", "/", cookie=cookie).status == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "HALT"])
    def test_only_a_form_halts(self, site, cookie, dials, method):
        token = site.ask("GET", "/", cookie=cookie).form
        site.ask(method, f"/?form={token}&reason=x", cookie=cookie)

        assert not halted(dials)

    def test_many_presses_all_halt_and_a_few_are_recorded(self, redis_server, tmp_path, dials):
        with a_site(tmp_path, redis_server.url, SLOTGEN_NAMESPACE=NAMESPACE) as site:
            cookie = site.log_in()
            for _ in range(15):
                dials.client.set(f"{NAMESPACE}:kill", "true")
                site.press(cookie)
        assert len([each for each in dials.audit(100) if each.command == "slotgen web"]) == 10


@pytest.mark.parametrize("path", ["/", "/login", "/halt", "/none"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_is_not_ours_is_refused(site, cookie, dials, path, method):
    for host in (
        "evil.example",
        f"evil.example:{site.host.split(':')[1]}",
        "127.0.0.1",
        "localhost:1",
        "",
        None,
    ):
        answer = site.ask(
            method, path, cookie=cookie, headers={"Host": host, "Authorization": f"Bearer {ALERTS}"}
        )
        assert answer.status in {400, 421}, host
        assert "set-cookie" not in answer.headers
    twice = site.ask(method, path, cookie=cookie, more=(("Host", "evil.example"),))
    assert twice.status in {400, 421}
    assert not halted(dials)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/login", {}),
        ("GET", "/none", {}),
        ("POST", "/halt", {}),
        ("PUT", "/", {}),
        ("POST", "/", {"Origin": "null"}),
        ("GET", "/", {"Host": "evil.example"}),
    ],
)
@pytest.mark.parametrize("logged_in", [True, False])
def test_every_answer_forbids_what_a_page_could_be_made_to_do(
    site, cookie, dials, method, path, headers, logged_in
):
    answer = site.ask(method, path, cookie=cookie * logged_in, headers=headers)

    policy = dict(each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";"))
    assert policy.keys() == {"default-src", "style-src", "form-action", "frame-ancestors", "base-uri"}
    style = policy.pop("style-src")
    assert re.fullmatch(r"'sha256-[\w+/=]{44}'", style)
    assert policy == {
        "default-src": "'none'", "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'"
    }  # fmt: skip
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    # Of no-referrer browsers make an Origin that is null, which is refused.
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_needs_no_script_and_refreshes_itself_unless_somebody_types(site, cookie, dials):
    page, typing = (LexborHTMLParser(site.ask("GET", path, cookie=cookie).text) for path in ("/", "/?reason"))

    for each in (page, typing):
        assert each.css("script, img, iframe, object, link, [style]") == []
        assert not [name for node in each.css("*") for name in node.attributes if name.startswith("on")]
    assert page.css_first("meta[http-equiv=refresh]").attributes["content"] == "5"
    assert typing.css("meta[http-equiv=refresh]") == []
    assert typing.css_first("input[name=reason]") is not None


def test_nothing_on_the_page_is_from_a_job(site, cookie, dials):
    client, secret_words = dials.client, "mitochondria-7"
    client.lpush(NAMESPACE, secret_words)
    client.xadd(f"{NAMESPACE}:dead", {"queue": NAMESPACE, "reason": "not JSON", "message": secret_words})
    client.xadd(f"{NAMESPACE}:results", {"o": secret_words})
    client.set(f"{NAMESPACE}:answer:x", json.dumps(secret_words))

    page = site.ask("GET", "/", cookie=cookie).text

    assert "1 message waiting" in page
    assert "<b>1</b>. See them: <code>slotgen dead list" in page
    assert secret_words not in page


class TestAlerts:
    def test_the_webhook_is_a_route_that_its_own_token_opens(self, site, dials):
        body = json.dumps({"alerts": [{"status": "firing", "labels": {"alertname": "SlotgenCostAnomaly"}}]})
        bearer = {"Authorization": f"Bearer {ALERTS}", "Origin": None, "Sec-Fetch-Site": None}

        answer = site.ask("POST", "/halt", body=body.encode(), headers=bearer)

        assert (answer.status, json.loads(answer.text)) == (200, {"halted": True, "by": "SET"})
        last = dials.audit(1)[0]
        assert (last.actor, last.reason) == ("alertmanager", "alert SlotgenCostAnomaly")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("PUT", "/halt"), ("PATCH", "/halt"), ("POST", "/halt/"), ("POST", "http://slotgen/halt")],
    )
    def test_its_token_halts_however_it_is_sent(self, site, dials, method, path):
        bearer = {"Authorization": f"Bearer {ALERTS}", "Origin": None, "Sec-Fetch-Site": None}

        assert site.ask(method, path, headers=bearer).status == 200
        assert halted(dials)

    @pytest.mark.parametrize("token", [TOKEN, "", "x", ALERTS[:-1]])
    def test_no_other_token_opens_it(self, site, cookie, dials, token):
        bearer = {"Authorization": f"Bearer {token}"}

        assert site.ask("POST", "/halt", cookie=cookie, headers=bearer).status == 401
        assert not halted(dials)

    def test_its_token_opens_nothing_else(self, site):
        assert site.ask("POST", "/login", form={"name": "ann", "token": ALERTS}).status in {403, 429}
        assert site.ask("GET", "/", headers={"Authorization": f"Bearer {ALERTS}"}).status == 303

    def test_without_a_token_of_its_own_there_is_none(self, redis_server, tmp_path, dials):
        with a_site(tmp_path, redis_server.url, SLOTGEN_NAMESPACE=NAMESPACE) as site:
            for token in (ALERTS, TOKEN, ""):
                bearer = {"Authorization": f"Bearer {token}"}
                assert site.ask("POST", "/halt", headers=bearer).status == 303
        assert not halted(dials)

    HEAD = f"Authorization: Bearer {ALERTS}\r\n"

    @pytest.mark.parametrize(
        "rest",
        [
            b"\r\n",
            b"Content-Length: 99999999999999999999\r\n\r\n{}",
            b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
        ],
    )
    def test_whoever_holds_it_halts_whatever_the_body_is(self, site, dials, rest):
        head = f"POST /halt HTTP/1.1\r\nHost: {site.host}\r\n{self.HEAD}".encode()
        address = site.host.split(":")
        # Who still sends what is not read may find the connection reset.
        with socket.create_connection(address, timeout=WAIT_SECONDS) as client, suppress(ConnectionError):
            client.sendall(head + rest)
            assert client.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: halted(dials))


class TestWhenRedisIsNotWell:
    @pytest.fixture
    def own(self):
        with EmbeddedRedis() as server, open_sync(server.url) as client:
            client.mset({f"slotgen:{dial}": value for dial, value in OPEN.items()})
            yield server, client

    def test_a_press_while_redis_hangs_halts_when_it_is_back(self, own, tmp_path):
        server, client = own
        with a_site(tmp_path, server.url) as site:
            cookie = site.log_in()
            form = site.ask("GET", "/", cookie=cookie).form
            server.freeze()
            page = site.ask("GET", "/", cookie=cookie)
            assert "<h1>NOT KNOWN</h1>" in page.text
            assert page.form == form
            assert site.ask("POST", "/", cookie=cookie, form={"form": form}).status == 303

            eventually(lambda: "web_halt_failed" in site.log.events)
            page = eventually(
                lambda: (p := site.ask("GET", "/", cookie=cookie)) and "Trying again" in p.text and p
            )
            assert "NOT HALTED BY THE BUTTON" in page.text
            assert "halt by themselves within 5 s" in page.text
            server.thaw()

            eventually(lambda: client.get("slotgen:kill") == b"true")
            page = eventually(
                lambda: (p := site.ask("GET", "/", cookie=cookie)) and "The key is set now" in p.text and p
            )
            assert "<h1>HALTED</h1>" in page.text
            assert "Halting, since" not in page.text
            assert "NOT HALTED" not in page.text

    def test_a_press_halts_although_redis_lets_nothing_be_read(self, own, tmp_path):
        server, client = own
        client.execute_command(
            "ACL", "SETUSER", "blind", "on", ">pw", "~*", "&*", "-@all", "+del", "+publish"
        )
        with a_site(tmp_path, server.url.replace("//", "//blind:pw@")) as site:
            cookie = site.log_in()
            assert "<h1>NOT KNOWN</h1>" in site.ask("GET", "/", cookie=cookie).text

            assert site.press(cookie).status == 303

            assert client.get("slotgen:kill") is None

    def test_a_key_that_cannot_be_set_is_said_and_halts_by_a_message(self, own, tmp_path):
        server, client = own
        rules = ("~*", "&*", "+@all", "-set", "-del", "-eval", "-evalsha")
        client.execute_command("ACL", "SETUSER", "weak", "on", ">pw", *rules)
        heard = client.pubsub()
        heard.psubscribe("slotgen:kill:*")
        heard.get_message(timeout=WAIT_SECONDS)
        with a_site(tmp_path, server.url.replace("//", "//weak:pw@")) as site:
            cookie = site.log_in()
            site.press(cookie)

            assert heard.get_message(timeout=WAIT_SECONDS)["data"] == b"true"
            page = site.ask("GET", "/", cookie=cookie).text
            assert "The key is NOT SET: Redis at" in page
            assert "forbids this to the user" in page
            assert "Trying again every second" in page
            client.execute_command("ACL", "SETUSER", "weak", "+set")
            eventually(lambda: client.get("slotgen:kill") == b"true")
        heard.close()


def test_silent_and_slow_clients_keep_nobody_from_halting(site, cookie, dials):
    address = tuple(site.host.split(":"))
    slow = [socket.create_connection(address, timeout=WAIT_SECONDS) for _ in range(200)]
    try:
        for number, each in enumerate(slow):
            if number % 2:
                each.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le")

        assert site.press(cookie).status == 303
        assert halted(dials)
    finally:
        for each in slow:
            each.close()
