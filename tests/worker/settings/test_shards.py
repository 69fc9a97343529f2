"""The file that names several Redis: what each line says, or what is wrong with it."""

from __future__ import annotations

import pytest

from worker.settings import shards


def read(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return shards.read(path)[0]


def test_has_a_name_and_a_url_on_each_line_and_comments(tmp_path):
    found = read(
        tmp_path / "redis.txt",
        "# the fleets\n\neu-1 redis://one:6379/0 # the old one\n  eu-2\trediss://two/0?ssl_cert_reqs=required\n",
    )

    assert [(each.name, each.url) for each in found] == [
        ("eu-1", "redis://one:6379/0"),
        ("eu-2", "rediss://two/0?ssl_cert_reqs=required"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("redis://:s3cret@two/0", "no name; use 1-16 letters, digits, dots, - or _"),
        ("eu-2", "0 URLs behind eu-2; write one"),
        ("eu-2 redis://:s3cret@two/0 redis://three", "2 URLs behind eu-2; write one"),
        ("eu-2 http://:s3cret@two", "eu-2 has not a Redis URL; set redis://HOST:6379/0"),
        ("eu-2 redis://:s3cret@two?s3cret=1", "eu-2 has unknown option"),
        ("eu-1 redis://:s3cret@two", "eu-1 has the name of eu-1 above; give each Redis one line"),
        ("eu-2 redis://:s3cret@one/0", "eu-2 has the Redis of eu-1 above; give each Redis one line"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_number_and_hides_no_other(tmp_path, line, said):
    path = tmp_path / "redis.txt"

    first, bad, last = read(path, f"eu-1 redis://one/0\n{line}\neu-3 redis://three/0\n")

    assert (first.name, bad.name, bad.url, last.name) == ("eu-1", "line 2", "", "eu-3")
    assert bad.problem.startswith(f"{path}:2: {said}")
    assert ":s3cret" not in bad.problem


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n \n"])
def test_a_file_that_names_none_says_what_to_write(tmp_path, text):
    with pytest.raises(ValueError, match="no Redis in it; write a line for each: NAME redis://HOST:6379/0"):
        read(tmp_path / "redis.txt", text)


@pytest.mark.parametrize(
    ("url", "mode", "exposed"),
    [
        ("redis://:s3cret@one", 0o644, True),
        ("sentinel://one/m?sentinel_password=x", 0o640, True),
        ("redis://:s3cret@one", 0o600, False),
        ("redis://one", 0o644, False),
    ],
)
def test_passwords_in_it_are_for_its_owner_alone(tmp_path, url, mode, exposed):
    path = tmp_path / "redis.txt"
    path.write_text(f"eu-1 {url}\n")
    path.chmod(mode)

    _, said = shards.read(path)

    assert said == (
        f"{path} has mode {mode:04o}, so others can read it; chmod 600 {path}" if exposed else None
    )
