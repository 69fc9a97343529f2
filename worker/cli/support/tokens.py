"""The token files of what listens, and its log."""

import logging
from pathlib import Path

from telemetry import configure, emit
from worker.cli.support.errors import CliError
from worker.settings import secret_files
from worker.settings.secret_files import FileSecret
from worker.settings.settings import Settings
from worker.web.token import weakness

_log = logging.getLogger("slotgen.web")


def read_token(file: Path) -> FileSecret:
    """Return the token in `file`. Raises CliError where it cannot be read, or could be guessed."""
    try:
        token = secret_files.read(file)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise CliError(f"the token file {file} cannot be used ({why}); write one line into it") from None
    if weak := weakness(token.get_secret_value()):
        raise CliError(
            f"the token in {file} could be guessed ({weak}); make one: openssl rand -base64 32 > {file}"
        )
    return token


def log_to_stdout(settings: Settings, *tokens: FileSecret) -> None:
    """Begin to log; first of all, which files of secrets others can read or change."""
    configure(settings.log_level)
    for each in filter(None, [*(token.exposed for token in tokens), *settings.exposed_files]):
        emit(_log, logging.WARNING, "secret_file_exposed", problem=each)
