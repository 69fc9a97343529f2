"""Asks a server which models a key can use, and reads what it says of one: free, and without content."""

import asyncio
import json
import re
from typing import Any

import httpx2

from tasks.operations.model_listing import ModelListing
from worker.adapters.openai.errors import translate
from worker.adapters.openai.model import open_client

_SECONDS = 5.0
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


async def list_model(api_key: str, base_url: str | None, model: str) -> ModelListing:
    """Return what `GET /v1/models` says of `model`, within 5 s; of a body over 1 MiB that is nothing.

    It has a connection of its own, so that no job waits for it, and it for none.
    """
    try:
        async with asyncio.timeout(_SECONDS), open_client(api_key, base_url, 1) as client:
            response = await client.get("/models", cast_to=httpx2.Response)
            body = await response.aread()
    except Exception as error:  # noqa: BLE001 - whatever the server's bytes made of it
        return ModelListing(model, unknown=f"GET /v1/models: {translate(error).detail}")
    return await asyncio.to_thread(read_models, body, model)


def read_models(body: bytes, model: str) -> ModelListing:
    """Return what `body` says of `model`; what cannot be read says nothing.

    Source: https://developers.openai.com/api/reference/resources/models/methods/list
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ModelListing(model, unknown="the list of models is not JSON")
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return ModelListing(model, unknown="the answer has no list of models")
    found = [each for each in entries if isinstance(each, dict) and each.get("id") == model]
    if found:
        return ModelListing(model, listed=True, shutdown_date=_shutdown_date(found[0]), unknown="")
    # OpenAI's list is whole; others send it in pages.
    if document.get("has_more"):
        return ModelListing(model, unknown="the list of models goes on, on another page")
    return ModelListing(model, listed=False, unknown="")


def _shutdown_date(entry: dict[str, Any]) -> str | None:
    if "shutdown_date" in entry and entry["shutdown_date"] is None:
        return ""
    said = entry.get("shutdown_date")
    is_day = isinstance(said, str) and _DAY.fullmatch(said)
    return said if is_day and ModelListing("", shutdown_date=said).shutdown else None
