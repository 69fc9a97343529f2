"""Runs one program for at most as long as its parent lives; `watched_process` starts this file as a process.

Standard input is a pipe that only the parent holds: the kernel closes it however the parent ends, `kill -9`
included. (PR_SET_PDEATHSIG would be shorter, but it fires when the parent's thread ends, not its process.)
"""

import contextlib
import os
import subprocess
import sys
import threading


def watch(orphaned_dir: str, argv: list[str]) -> int:
    """Run `argv`, print its process id, and return its exit code once it has ended.

    If the parent dies first, the program is killed and `orphaned_dir` (unless "") is removed.
    """
    # Both of its streams go to our stderr, which the parent reads or has pointed to a log.
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - our own argv
    orphaned = threading.Event()
    threading.Thread(target=_end_with_parent, args=(program, orphaned), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        print(program.pid, flush=True)  # noqa: T201 - the parent reads it
    code = program.wait()
    if orphaned.is_set() and orphaned_dir:
        _remove(orphaned_dir)
    return code if code >= 0 else 128 - code


def _end_with_parent(program: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    # os.read, because a daemon thread inside sys.stdin's lock aborts the interpreter when it exits.
    while os.read(0, 1):
        pass
    orphaned.set()
    program.kill()


def _remove(directory: str) -> None:
    import shutil  # noqa: PLC0415 - half of the start-up time, and needed only after an accident

    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(watch(sys.argv[1], sys.argv[2:]))
