"""Waits for the answer to an approval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.triggers.base import TriggerEvent

log = logging.getLogger(__name__)


class AnswerTrigger(HITLTrigger):
    """Ends with the answer in Airflow, as its parent does. It also ends when the question has an answer on
    the command line, or when another run of the DAG is queued: that run plans again, and would otherwise
    wait until somebody answers."""

    def __init__(self, *, dag_id: str, **given: Any) -> None:
        super().__init__(**given)
        self.dag_id = dag_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class, and what it is made from."""
        _, given = super().serialize()
        return f"{__name__}.{type(self).__name__}", {**given, "dag_id": self.dag_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the first of them."""
        answer = asyncio.ensure_future(anext(super().run()))
        try:
            while not answer.done():
                await asyncio.wait({answer}, timeout=self.poke_interval)
                end = None if answer.done() else await asyncio.to_thread(self.end)
                if end:
                    yield TriggerEvent({"end": end})  # type: ignore[no-untyped-call]
                    return
            yield answer.result()
        finally:
            answer.cancel()

    def end(self) -> Literal["answered", "superseded"] | None:
        """Why nobody need answer in Airflow any more; None while somebody must, or if that is not known."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        from parc import routing
        from parc.settings import Settings

        try:
            if routing.is_answered(Settings.from_env(), self.ti_id):
                return "answered"
            is_queued = RuntimeTaskInstance.get_dr_count(self.dag_id, states=["queued"]) > 0
        except Exception:  # the question stays, whatever is wrong with the warehouse or Airflow
            log.exception("whether the question still waits is not known")
            return None
        return "superseded" if is_queued else None
