"""The models that the stand-in has, as `GET /v1/models` lists them."""

from collections.abc import Mapping
from typing import Any

from tasks import executor_config

MODELS_PATH = "/v1/models"


def shipped_models() -> dict[str, str | None]:
    """Return the models that the shipped executor config has prices for; none has a shutdown date."""
    return dict.fromkeys(executor_config.load(None).prices)


def models_document(models: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the list of `models`, each with its shutdown date (YYYY-MM-DD), None for none."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "stand-in", "shutdown_date": ends}
            for name, ends in models.items()
        ],
    }
