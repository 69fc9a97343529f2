"""`slotgen web` refuses to start where it could not keep strangers out; tests/worker/web has its life."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def token_file(slotgen):
    path = slotgen.folder / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    return str(path)


def test_without_a_login_it_does_not_start(slotgen):
    code, said = slotgen("web")

    assert code == 1
    assert "--token-file" in said
    assert "--proxy" in said


@pytest.mark.parametrize(
    ("text", "why"), [("", "not one line"), ("x", "could be guessed"), ("ab" * 40, "guessed")]
)
def test_a_token_that_is_none_is_refused(slotgen, text, why):
    for words in (
        ["--token-file", slotgen.file("t", text)],
        ["--proxy", "::1", "--webhook-token-file", slotgen.file("t", text)],
    ):
        code, said = slotgen("web", *words)

        assert code == 1
        assert why in said


def test_a_webhook_has_no_token_that_opens_the_page(slotgen, token_file):
    code, said = slotgen("web", "--token-file", token_file, "--webhook-token-file", slotgen.file("t", TOKEN))

    assert code == 1
    assert "make one of its own" in said
    assert TOKEN not in said


@pytest.mark.parametrize("proxy", ["", "proxy", "10.0.0.0/8", "10.0.0.7:80", "*"])
def test_a_proxy_is_named_by_its_address(slotgen, proxy):
    code, said = slotgen("web", "--proxy", proxy)

    assert code == 1
    assert f"--proxy: {proxy!r} does not appear to be" in said


@pytest.mark.parametrize(
    "url", ["halt.example.org", "ftp://x", "https://", "https://a@b", "https://x/page", "https://x:y"]
)
def test_a_url_is_a_scheme_and_a_host(slotgen, token_file, url):
    code, said = slotgen("web", "--token-file", token_file, "--port", "0", "--url", url)

    assert code == 1
    assert "--url is " in said
    assert "https://halt.example.org" in said


def test_a_port_that_is_taken_is_named(slotgen, token_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, said = slotgen("web", "--token-file", token_file, "--port", str(port))

    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert TOKEN not in said


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra_it_names_it_and_the_rest_goes_on(slotgen, token_file, missing):
    def run(*words):
        code = f"import sys; sys.modules['{missing}'] = None; from worker.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )

    refused = run("web", "--token-file", token_file)

    assert refused.returncode == 1
    assert f'needs the extra "web" ({missing} is not installed): pip install "slotgen[web]"' in refused.stderr
    if missing == "jinja2":
        assert run("web", "--help").returncode == 0
        assert run("webhook", "--token-file", "/nonexistent").stderr.startswith("the token file /nonexistent")


@pytest.mark.parametrize("words", [["--help"], ["web", "--help"]])
def test_no_help_imports_what_the_extra_brings(words):
    code = (
        "import sys, atexit\n"
        "extra = {'jinja2', 'starlette', 'uvicorn', 'h11'}\n"
        "atexit.register(lambda: print('imported:', sorted(extra & sys.modules.keys())))\n"
        "from worker.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)

    assert done.stdout.endswith("imported: []\n")
