import subprocess
import sys
from pathlib import Path

import telemetry


def test_the_public_surface_is_this():
    assert set(telemetry.__all__) == {
        "METRICS",
        "Exporter",
        "Health",
        "Metrics",
        "PortUnavailable",
        "Recorder",
        "application",
        "configure",
        "count_dropped_lines",
        "emit",
        "listen",
        "log_is_alive",
        "error_location",
    }
    assert all(hasattr(telemetry, name) for name in telemetry.__all__)


def test_the_package_is_typed():
    assert (Path(telemetry.__file__).parent / "py.typed").exists()


def test_importing_it_starts_nothing_and_sees_neither_gates_nor_tasks_nor_drivers():
    script = (
        "import sys, threading, logging, telemetry;"
        "print(sorted({'gates', 'tasks', 'worker', 'celery', 'redis', 'openai'} & set(sys.modules)),"
        " threading.active_count(), logging.getLogger().handlers)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[] 1 []\n"
