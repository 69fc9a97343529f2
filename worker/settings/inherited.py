"""Keeps variables that others have left in the environment from deciding anything here.

Celery, kombu, billiard, prometheus_client, pydantic, the OpenAI SDK and that of OpenTelemetry read variables
of their own as they are imported or make a client, some of them before what they are given: a job's Redis
would be whichever CELERY_BROKER_URL names. A test reads the sources of all dependencies for others.
"""

import contextlib
import os
import re
import sys
import warnings

# Those without a prefix are kombu's, billiard's, eventlet's and typer's; and the SSL library's: a file of
# session keys, which breaks every connection where it cannot be written, and betrays it where it can, and a
# folder of certificates, whose absence would break every call. SSL_CERT_FILE is checked at start.
_OF_LIBRARIES = re.compile(
    r"CELERY(D|BEAT)?_|OTEL_(?!EXPORTER_OTLP_ENDPOINT$)|C_[A-Z_]+$|KOMBU_|PROMETHEUS_|AIOHTTP_|OPENAI_(?!API_KEY(_FILE)?$|BASE_URL$)"
    r"|DJANGO_|PYDANTIC_|DEFER_PYDANTIC_BUILD$|PSUTIL_DEBUG$"
    r"|DISABLE_TRACEBACKS$|PICKLE_PROTOCOL$|MP_LOG$|FORKED_BY_MULTIPROCESSING$|SSLKEYLOGFILE$|SSL_CERT_DIR$"
    r"|REMAP_SIGTERM$|AUTOSCALE_KEEPALIVE$|TIMER_DEBUG$|EVENTLET_|USE_FAST_LOCALS$|NOSETPS$|TERMINAL_WIDTH$|TYPER_"
)
# The one loses every exit code, and stays at a prompt; with the other a worker takes a minute to start.
_OF_PYTHON = ("PYTHONINSPECT", "PYTHONTRACEMALLOC")


def drop_inherited() -> None:
    """Take the variables of libraries out of this process, and what Python's own did; before any import."""
    already_read = [name for name in _OF_PYTHON if os.environ.pop(name, "")]
    if already_read and sys.executable and not sys.flags.ignore_environment:
        # Python has read them before any of our code could run: it starts once more, as the same process.
        with contextlib.suppress(OSError):
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line
    for name in filter(_OF_LIBRARIES.match, list(os.environ)):
        del os.environ[name]
    if sys.warnoptions:
        # A warning is a line of the log, and no error.
        warnings.resetwarnings()
    # Python's default; PYTHONINTMAXSTRDIGITS=0 would let one number of a message hold the interpreter.
    sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)
    _open_standard_streams()


def _open_standard_streams() -> None:
    """Let no closed stream become another file, and no encoding refuse a character: it is written out.

    A terminal has the encoding of its locale, everything else UTF-8, as readers of logs and JSON expect.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest number that is free: this one, as those below it are open by now.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=os.device_encoding(number) or "utf-8", errors="backslashreplace")
