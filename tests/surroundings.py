"""Gives every run of the tests the same surroundings, whatever its shell, user and machine have set."""

from __future__ import annotations

import contextlib
import locale
import os
import resource
import signal
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What the tests may see of the environment they were started in: where programs are, what kind of run this
# is, and how the package managers that some tests run find their way.
_KEPT = ("PATH", "CI", "SLOTGEN_FAULTS", "NODE_EXTRA_CA_CERTS")
_KEPT_PREFIXES = ("SLOTGEN_FAULTS_", "COVERAGE_", "PYTEST_XDIST_", "PIP_", "npm_config_", "MUTANT_")
_GIVEN = {"LANG": "C.UTF-8", "TZ": "UTC", "USER": "tester", "LOGNAME": "tester", "TERM": "dumb"}
# nohup, and a shell that starts something in the background, ignore some of these; a program under test that
# is to be interrupted must not inherit that.
_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD)
# 500 calls in flight, with both of their ends in one process.
_OPEN_FILES = 8192


def make_the_same_everywhere(folder: Path, marker: dict[str, str]) -> None:
    """Change this process, so that neither it nor what it starts depends on what it has inherited.

    `folder` is this run's own, for its temporary files and an empty home; `marker` is the variable by which
    the processes of the run are known.
    """
    home, temporary = folder / "home", folder / "tmp"
    for each in (home, temporary):
        each.mkdir(exist_ok=True)
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    os.environ.clear()
    os.environ.update(kept | _GIVEN | {"HOME": str(home), "TMPDIR": str(temporary)} | marker)
    tempfile.tempdir = None  # what it is was remembered
    os.chdir(ROOT)
    os.umask(0o022)
    time.tzset()
    with contextlib.suppress(locale.Error):  # a system without it: Python has made UTF-8 of its C already
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for each in _SIGNALS:
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))
