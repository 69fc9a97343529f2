"""The page on new types: its files go into a copy of the product, and a worker of that fills the slot."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import a_job, a_spec, open_dials
from tests.closing_celery import Celery
from worker.dev.stack import stack

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gates", "tasks", "telemetry", "schemas", "worker")
PAGE = (ROOT / "docs" / "new-types.md").read_text("utf-8")
WAIT_SECONDS = 30


def files_of_the_page():
    """The file that each heading names, with the block below it."""
    return re.findall(r"^## The \w+: `([^`]+)`\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def product(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files_of_the_page():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def python(product, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=product,
        env={**os.environ, "PYTHONPATH": str(product)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_adds_one_schema_and_one_prompt_and_no_code():
    names = [name for name, _ in files_of_the_page()]

    assert names == ["schemas/outputs/hint.v1.json", "tasks/prompts/outputs/hint.v1.md"]


def test_the_lock_takes_it(product):
    (command,) = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
    before = python(product, "-m", "schemas.lock", "--check")
    python(product, *shlex.split(command)[1:])
    after = python(product, "-m", "schemas.lock", "--check")

    assert (before.returncode, before.stderr) == (
        1,
        "schemas/outputs/hint.v1.json: is not locked; run `python -m schemas.lock`\n",
    )
    assert (after.returncode, after.stderr) == (0, "")


def test_a_worker_generates_it_with_its_prompt(product):
    # Without the second the checkout, where the tests run, would come first.
    with stack(settings={"PYTHONPATH": str(product), "PYTHONSAFEPATH": "1"}) as system:
        system.client.mset(open_dials())
        celery = Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False)
        job = a_job(output={"field": "hint", "type": "hint"})
        (result,) = celery.send_task("slotgen.generate", args=[a_spec(job)], queue="slotgen").get(
            timeout=WAIT_SECONDS
        )
        celery.close()

    assert result["status"] == "COMPLETED"
    assert result["output"]["hint"].keys() == {"hint", "question"}


def test_the_prompt_follows_that_of_the_kind(product):
    script = (
        "import json, schemas, tasks.executor_config as c; from tasks.generate.prompting import Prompts\n"
        "p = Prompts.load(c.load(None).prompts)\n"
        "t = schemas.output_type\n"
        "print(json.dumps([p.instructions('revision', t(each)) for each in ('hint', 'text')]))"
    )
    done = python(product, "-c", script)

    hint, text = json.loads(done.stdout)
    ((_, _), (_, prompt)) = files_of_the_page()
    assert hint == f"{text}\n\n{prompt.strip()}"


def test_a_new_prompt_of_a_kind_is_a_file_and_a_line_of_the_config(product):
    assert '`"prompts": {"explanatory": "explanatory.v2", …}`' in PAGE
    (product / "tasks" / "prompts" / "explanatory.v2.md").write_text("Explain it in one sentence.\n")
    config = json.loads((product / "tasks" / "executor.v1.json").read_text())
    config["prompts"]["explanatory"], config["version"] = "explanatory.v2", "2026-12-1"
    (product / "executor.json").write_text(json.dumps(config))
    script = (
        "from pathlib import Path; import tasks.executor_config as c\n"
        "from tasks.generate.prompting import Prompts\n"
        "loaded = c.load(Path('executor.json'))\n"
        "print(loaded.version, Prompts.load(loaded.prompts).instructions('explanatory', None))"
    )

    done = python(product, "-c", script)

    # What every kind is asked for follows.
    assert done.stdout.startswith("2026-12-1 Explain it in one sentence.\n\nWrite plain text"), done.stderr


def test_a_prompt_for_no_type_is_named_at_the_start(product):
    (product / "tasks" / "prompts" / "outputs" / "hints.v1.md").write_text("Nobody reads this.\n")
    script = "from tasks.generate.prompting import Prompts\nPrompts.load({})"

    done = python(product, "-c", script)

    assert "tasks/prompts/outputs/hints.v1.md: is never read; name it TYPE.vNUMBER.md" in done.stderr
