from __future__ import annotations

import signal
import subprocess
import sys

from tests.fakes.openai.asker import Asker
from tests.fakes.openai.server import FakeOpenAI


def test_runs_by_hand_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "tests.fakes.openai.server", "--delay", "0.01", "--play", "refusal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        export = process.stdout.readline()
        port = int(export.split("/v1")[0].rpartition(":")[2])

        response = Asker(FakeOpenAI(port=port)).ask()
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=10)

    assert export.startswith("export OPENAI_BASE_URL=http://127.0.0.1:")
    assert response.output[0].content[0].type == "refusal"
    assert "begun=1" in said
    assert (process.returncode, complained) == (0, "")
