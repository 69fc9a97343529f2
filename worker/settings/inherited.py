"""Keeps variables that others have left in the environment from deciding anything here.

Celery, kombu, billiard, prometheus_client and the OpenAI SDK read variables of their own as they are imported
or make a client, some of them before what they are given: a job's Redis would be whichever
CELERY_BROKER_URL names.
"""

import os
import re
import sys
import warnings

# The last four are kombu's and billiard's, which have no prefix.
_OF_LIBRARIES = re.compile(
    r"CELERY_|C_[A-Z]+$|KOMBU_|PROMETHEUS_|AIOHTTP_|OPENAI_(?!API_KEY(_FILE)?$|BASE_URL$)"
    r"|DISABLE_TRACEBACKS$|PICKLE_PROTOCOL$|MP_LOG$|FORKED_BY_MULTIPROCESSING$"
)


def drop_inherited() -> None:
    """Take the variables of libraries out of this process, and PYTHONWARNINGS's effect; before any import."""
    for name in filter(_OF_LIBRARIES.match, list(os.environ)):
        del os.environ[name]
    if sys.warnoptions:
        # A warning is a line of the log, and no error.
        warnings.resetwarnings()
