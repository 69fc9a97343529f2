import json
import subprocess
import sys

import pytest

from schemas import lock


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "job.v1.json").write_text("{}")
    (tmp_path / "outputs" / "text.v1.json").write_text("{}")
    assert lock.main([], tmp_path) == 0
    return tmp_path


def test_the_released_schemas_are_locked_and_unchanged():
    assert lock.problems() == []


def test_the_check_passes_from_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "schemas.lock", "--check"],
        cwd=lock.FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_lock_names_each_file_with_its_sha256_in_order(folder):
    entries = json.loads((folder / "schemas.lock").read_text())

    assert list(entries) == ["job.v1.json", "outputs/text.v1.json"]
    assert entries["job.v1.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_changed_schema_fails_the_check_and_names_the_next_version(folder, capsys):
    (folder / "outputs" / "text.v1.json").write_text("{ }")

    assert lock.main(["--check"], folder) == 1
    assert capsys.readouterr().err == (
        "schemas/outputs/text.v1.json: differs from its release; "
        "restore it, and put the change into outputs/text.v2.json\n"
    )


def test_locking_refuses_to_change_an_entry_and_then_changes_nothing(folder):
    before = (folder / "schemas.lock").read_text()
    (folder / "job.v1.json").write_text("[]")
    (folder / "job.v2.json").write_text("{}")

    assert lock.main([], folder) == 1
    assert (folder / "schemas.lock").read_text() == before


def test_a_removed_schema_fails_the_check_and_cannot_be_unlocked(folder, capsys):
    (folder / "job.v1.json").unlink()

    assert lock.main(["--check"], folder) == 1
    assert lock.main([], folder) == 1
    assert capsys.readouterr().err == "schemas/job.v1.json: is locked and gone; restore the file\n" * 2


def test_a_new_schema_fails_the_check_until_it_is_locked(folder, capsys):
    (folder / "job.v2.json").write_text("{}")

    assert lock.main(["--check"], folder) == 1
    assert capsys.readouterr().err == "schemas/job.v2.json: is not locked; run `python -m schemas.lock`\n"
    assert lock.main([], folder) == 0
    assert lock.main(["--check"], folder) == 0
