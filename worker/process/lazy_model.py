"""A model whose client is opened in the background: only jobs that need a model wait for it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from tasks.ports import Model, ModelAnswer, ModelRequest
from telemetry import emit, error_location

_log = logging.getLogger("slotgen.worker")


@dataclass(slots=True)
class LazyModel:
    """The model of one event loop; every method but `open_soon` must be called on that loop.

    `open_model` imports the SDK and makes its client, which takes 0.4-2 s: it is called in a thread, once,
    and after a failure again by the next job.
    """

    loop: asyncio.AbstractEventLoop
    open_model: Callable[[], Model]
    _opening: asyncio.Task[Model] | None = None
    _model: Model | None = None

    def open_soon(self, after_seconds: float) -> None:
        """Begin to open it after that time, from any thread; a job that needs it begins sooner."""
        self.loop.call_soon_threadsafe(self.loop.call_later, after_seconds, self._begin)

    async def ready(self) -> None:
        """Return once a request can be sent. Raises what prevented the opening."""
        await self._opened()

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once. Raises ModelError if no answer came, for whatever reason."""
        return await (await self._opened()).respond(request)

    def abort_connections(self) -> None:
        """Close every connection; without a client there are none, and whatever waits for it is cancelled."""
        if self._model:
            self._model.abort_connections()

    async def close(self) -> None:
        """Close the client. One that is still being opened has no connection to close."""
        if self._model:
            await self._model.close()

    async def _opened(self) -> Model:
        if self._model:
            return self._model
        # Shielded: a job that is halted must not cancel the opening for the others.
        return await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[Model]:
        if self._opening is None or (self._opening.done() and self._model is None):
            self._opening = self.loop.create_task(self._open())
            # `_open` logs a failure, and every waiter gets it; asyncio need not complain if there is none.
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._opening

    async def _open(self) -> Model:
        try:
            self._model = await asyncio.to_thread(self.open_model)
        except Exception as error:
            emit(_log, logging.ERROR, "model_not_opened", **error_location(error))
            raise
        return self._model
