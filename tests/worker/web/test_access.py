"""Sessions end by themselves, and there is an end to their number."""

from __future__ import annotations

from ipaddress import ip_address

from worker.web.access import SESSION_SECONDS, Access, Proxy

TOKEN = "Jk3vR9sQ2xW7pLm5Zt8Yb1"


def visitor(access, session):
    return access.visitor("192.0.2.1", [], {"c": session}, "c")


def test_a_session_ends_after_a_night():
    now = 0.0
    access = Access(TOKEN, None, clock=lambda: now)
    session = access.log_in(" ann ", TOKEN)

    now = SESSION_SECONDS - 1
    assert visitor(access, session).actor == "ann"
    now = SESSION_SECONDS
    assert visitor(access, session) is None
    now = 0.0
    assert visitor(access, session) is None


def test_the_oldest_sessions_go_first():
    access = Access(TOKEN, None)
    sessions = [access.log_in("ann", TOKEN) for _ in range(150)]

    assert [visitor(access, each) is not None for each in sessions] == [False] * 50 + [True] * 100


def test_each_session_has_form_tokens_of_its_own_and_so_has_each_process():
    one, other = Access(TOKEN, None), Access(TOKEN, None)
    sessions = [one.log_in("ann", TOKEN), one.log_in("ann", TOKEN)]

    assert len({visitor(one, each).form_token for each in sessions}) == 2
    proxy = Proxy(frozenset({ip_address("::1")}), "X-User")
    one.proxy = other.proxy = proxy
    assert len({each.visitor("::1", ["ann"], {}, "c").form_token for each in (one, other)}) == 2


def test_only_the_address_of_the_proxy_vouches():
    proxy = Proxy(frozenset({ip_address("10.0.0.7"), ip_address("::1")}), "X-User")

    assert proxy.named("10.0.0.7", ["ann"]) == proxy.named("::1", ["ann"]) == "ann"
    assert proxy.named("::1", ["Jürg".encode().decode("latin-1")]) == "Jürg"
    for peer in ("10.0.0.8", "", "testclient", "10.0.0.7, 10.0.0.8", "::ffff:10.0.0.8"):
        assert proxy.named(peer, ["ann"]) is None
