import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from datetime import datetime
from decimal import Decimal

import pytest
from celery.platforms import check_privileges
from hypothesis import given
from hypothesis import strategies as st

from telemetry import configure, count_dropped_lines, emit, error_location, log_is_alive, logs
from telemetry.logs import JsonHandler
from tests.telemetry.samples import MARKER, Log
from tests.waiting import eventually

LIBRARIES = ("celery.app.trace", "celery.worker.strategy", "kombu", "redis", "openai", "httpx2", "asyncio")
HOOKS = ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"))


@pytest.fixture
def process(monkeypatch):
    """A process whose logging was configured; everything is put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for module, name in HOOKS:
        monkeypatch.setattr(module, name, getattr(module, name))
    stream = io.StringIO()
    configure("INFO", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(logging.NOTSET)


def written(stream):
    for handler in logging.getLogger().handlers:
        handler.flush()
    return stream.getvalue()


def lines(stream):
    return [json.loads(line) for line in written(stream).splitlines()]


class TestALine:
    def test_has_the_time_in_utc_the_level_the_logger_and_the_event(self):
        log = Log("slotgen.test")

        emit(log.logger, logging.WARNING, "calls_halted", calls=3)

        (line,) = log.lines
        assert list(line) == ["time", "level", "logger", "event", "calls"]
        assert line | {"time": ""} == {
            "time": "",
            "level": "WARNING",
            "logger": "slotgen.test",
            "event": "calls_halted",
            "calls": 3,
        }
        assert datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%f%z").utcoffset().total_seconds() == 0
        assert len(line["time"]) == len("2026-11-23T10:11:12.345Z")

    def test_is_ascii_and_one_line_whatever_a_field_holds(self):
        log = Log()

        emit(log.logger, logging.INFO, "told", text="é\n\u2028\r漢\ud800\x00")

        assert log.text.isascii()
        assert log.text.count("\n") == 1
        assert log.text.splitlines() == [log.text.rstrip("\n")]
        assert log.lines[0]["text"] == "é\n\u2028\r漢\ud800\x00"

    def test_keeps_its_own_time_level_logger_and_event(self):
        log = Log("slotgen.test")

        log.logger.info("told", extra={"slotgen_fields": {"logger": "x", "time": "y", "event": "z"}})

        line = log.lines[0]
        assert (line["logger"], line["level"]) == ("slotgen.test", "INFO")
        assert "y" not in line.values()

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (ValueError(MARKER), "<ValueError>"),
            (Decimal("1.5"), "<Decimal>"),
            (b"zebra-marker-4711", "<bytes>"),
            ({MARKER}, "<set>"),
            (float("nan"), "<float>"),
            ({(MARKER, 1): 1}, "<dict>"),
            ([float("inf"), MARKER], "<list>"),
        ],
    )
    def test_shows_of_what_is_not_json_its_type_alone(self, value, shown):
        log = Log()

        emit(log.logger, logging.INFO, "told", value=value, other=ValueError(MARKER), sound=1)

        line = log.lines[0]
        assert (line["value"], line["other"], line["sound"]) == (shown, "<ValueError>", 1)
        assert MARKER not in log.text

    def test_survives_a_value_that_holds_itself(self):
        log, loop = Log(), []
        loop.append(loop)

        emit(log.logger, logging.INFO, "told", value=loop)

        assert log.lines[0]["value"] == "<list>"

    @given(
        st.dictionaries(
            st.text().filter(lambda name: name not in {"logger", "level", "event"}),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
                max_leaves=8,
            ),
            max_size=4,
        )
    )
    def test_parses_strictly_with_any_fields(self, fields):
        log = Log()

        emit(log.logger, logging.INFO, "told", **fields)

        (text,) = log.text.splitlines()
        json.loads(text, parse_constant=pytest.fail)


def break_something():
    raise KeyError(MARKER)


class TestAnError:
    def test_is_told_by_its_type_and_its_place(self):
        with pytest.raises(KeyError) as broken:
            break_something()

        sanitise = error_location(broken.value)

        assert sanitise["error_type"] == "builtins.KeyError"
        assert sanitise["error_at"].startswith("test_logs.py:")
        assert sanitise["error_at"].endswith(" in break_something")

    def test_that_was_never_raised_has_no_place(self):
        assert error_location(ValueError(MARKER)) == {"error_type": "builtins.ValueError", "error_at": ""}

    def test_leaves_neither_its_text_nor_its_causes_nor_the_stack_in_the_log(self):
        log = Log()
        try:
            try:
                break_something()
            except KeyError as inner:
                raise RuntimeError(f"about {MARKER}") from inner
        except RuntimeError:
            log.logger.exception("Task raised", stack_info=True)

        line = log.lines[0]
        assert line["error_type"] == "builtins.RuntimeError"
        assert MARKER not in log.text
        assert "Traceback" not in log.text


class Unread(io.StringIO):
    """A pipe whose reader has stopped, until the test lets it go on."""

    def __init__(self):
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def write(self, text):
        self.reached.set()
        self.go_on.wait()
        return super().write(text)


# At each line of the main thread's logging comes a signal, whose handler logs too.
INTERRUPTED = """
import logging, signal, sys
from telemetry import configure, emit
handled = 0
log = logging.getLogger("slotgen.test")
configure("INFO")
def handle(*_):
    global handled
    handled += 1
    sys.settrace(None)
    emit(log, logging.INFO, "second")
    sys.settrace(interrupt)
def interrupt(frame, kind, argument):
    if kind == "line":
        signal.raise_signal(signal.SIGTERM)
    return interrupt
signal.signal(signal.SIGTERM, handle)
sys.settrace(interrupt)
emit(log, logging.INFO, "first")
sys.settrace(None)
emit(log, logging.INFO, "done", handled=handled)
"""


def test_a_line_can_be_logged_wherever_another_one_is_interrupted():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=30, check=True
    )

    *told, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in told].count("first") == 1
    assert [each["event"] for each in told].count("second") == last["handled"] > 20


class TestAReaderThatHasStopped:
    def test_holds_up_nobody_and_what_finds_no_room_is_dropped_and_counted(self, process, monkeypatch):
        monkeypatch.setattr(logs, "MOST_LINES", 3)
        stream, dropped = Unread(), []
        configure("INFO", stream)
        count_dropped_lines(lambda: dropped.append(1))
        emit(logging.getLogger("slotgen.test"), logging.INFO, "first")
        stream.reached.wait()

        for number in range(5):
            emit(logging.getLogger("slotgen.test"), logging.INFO, "more", number=number)
        stream.go_on.set()

        assert [line.get("number") for line in lines(stream)] == [None, 0, 1, 2]
        assert len(dropped) == 2

    def test_ends_no_process_later_than_two_seconds(self, process, monkeypatch):
        monkeypatch.setattr(logs, "_LAST_WORDS_SECONDS", 0)
        stream = Unread()
        configure("INFO", stream)
        emit(logging.getLogger("slotgen.test"), logging.INFO, "first")
        stream.reached.wait()

        logging.getLogger().handlers[-1].flush()

        assert stream.getvalue() == ""
        stream.go_on.set()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_thread_that_has_ended_is_told(self, process):
        class Broken(io.StringIO):
            def write(self, _: str) -> int:
                raise KeyError

        configure("INFO", Broken())
        assert log_is_alive()

        emit(logging.getLogger("slotgen.test"), logging.INFO, "job_stubbed")

        eventually(lambda: not log_is_alive())

    def test_a_stream_that_takes_nothing_ends_no_thread(self, process):
        class Full(io.StringIO):
            full = True

            def write(self, text):
                if self.full:
                    raise OSError(28, "No space left on device")
                return super().write(text)

        stream = Full()
        configure("INFO", stream)
        emit(logging.getLogger("slotgen.test"), logging.INFO, "lost")
        assert lines(stream) == []

        stream.full = False
        emit(logging.getLogger("slotgen.test"), logging.INFO, "kept")

        assert [line["event"] for line in lines(stream)] == ["kept"]


class TestTheProcess:
    def test_writes_each_line_once_however_often_it_is_configured(self, process):
        other = io.StringIO()
        configure("INFO", other)
        configure("INFO", other)

        emit(logging.getLogger("slotgen.test"), logging.INFO, "told")

        assert [line["event"] for line in lines(other)] == ["told"]
        assert lines(process) == []
        assert len([each for each in logging.getLogger().handlers if isinstance(each, JsonHandler)]) == 1

    def test_flushes_each_line(self, process):
        class Stream(io.StringIO):
            flushed = 0

            def flush(self):
                self.flushed += 1

        stream = Stream()
        configure("INFO", stream)

        emit(logging.getLogger("slotgen.test"), logging.INFO, "told")
        emit(logging.getLogger("slotgen.test"), logging.INFO, "told")

        assert [line["event"] for line in lines(stream)] == ["told", "told"]
        assert stream.flushed == 2

    @pytest.mark.parametrize("name", LIBRARIES)
    @pytest.mark.parametrize("level", ["DEBUG", "INFO"])
    def test_keeps_libraries_quiet_below_warning(self, process, name, level):
        configure(level, process)

        logging.getLogger(name).info("Task %s succeeded: %r", "id", MARKER)
        logging.getLogger(name).warning("loud")

        assert [line["logger"] for line in lines(process)] == [name]

    def test_can_be_quieter_than_warning(self, process):
        configure("ERROR", process)

        logging.getLogger("kombu").warning("loud")
        emit(logging.getLogger("slotgen.test"), logging.WARNING, "told")

        assert lines(process) == []

    def test_refuses_a_level_that_there_is_not(self, process):
        before = list(logging.getLogger().handlers)

        with pytest.raises(ValueError, match="LOUD"):
            configure("LOUD", io.StringIO())

        assert logging.getLogger().handlers == before

    def test_says_what_celery_warns_root_of(self, process, monkeypatch):
        monkeypatch.setattr(os, "getuid", lambda: 0)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            configure("INFO", process)
            check_privileges(["json"])
            logging.captureWarnings(capture=False)

        (line,) = lines(process)
        assert line["message"].startswith("SecurityWarning: the worker runs as root")

    def test_tells_of_a_warning_its_category_and_place(self, process):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # pytest has put its own capture back between the fixture and this line.
            logging.captureWarnings(capture=False)
            configure("INFO", process)
            warnings.warn(f"Exception raised outside body: {MARKER}", RuntimeWarning, stacklevel=1)
            logging.captureWarnings(capture=False)

        (line,) = lines(process)
        assert (line["message"], line["logger"]) == ("RuntimeWarning", "py.warnings")
        assert line["at"].startswith("test_logs.py:")
        assert MARKER not in written(process)


class TestACrash:
    def test_of_a_thread_is_a_line_without_its_text(self, process, capsys):
        def work():
            raise ValueError(MARKER)

        thread = threading.Thread(target=work, name="model-loop")
        thread.start()
        thread.join()

        (line,) = lines(process)
        assert (line["event"], line["thread"], line["level"]) == ("thread_crashed", "model-loop", "CRITICAL")
        assert line["error_type"] == "builtins.ValueError"
        assert MARKER not in written(process) + capsys.readouterr().err

    def test_of_the_process_is_a_line_without_its_text(self, process, capsys):
        error = ValueError(MARKER)

        sys.excepthook(ValueError, error, None)

        assert [line["event"] for line in lines(process)] == ["process_crashed"]
        assert MARKER not in written(process) + capsys.readouterr().err

    def test_of_a_finalizer_is_a_line_without_its_text(self, process, capsys):
        class Closing:
            def __del__(self):
                raise ValueError(MARKER)

        Closing()

        assert [line["event"] for line in lines(process)] == ["finalizer_crashed"]
        assert MARKER not in written(process) + capsys.readouterr().err

    def test_is_not_what_ctrl_c_is(self, process, capsys):
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

        assert lines(process) == []
        assert "KeyboardInterrupt" in capsys.readouterr().err
