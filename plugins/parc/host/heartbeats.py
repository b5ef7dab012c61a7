"""Which of Airflow's processes run and do nothing: its API knows when each last gave a sign of life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from parc.host import programs, services
from parc.instants import shown
from parc.settings import Settings

SILENT = timedelta(minutes=2)
"""Airflow's processes give a sign every few seconds; a busy machine may delay it by a minute."""
ANSWER_SECONDS = 10


def silent(settings: Settings) -> dict[str, str]:
    """By their name, those that have run for longer than SILENT and have given no sign for as long, with what
    is known of it. Only the API server is asked, so that nothing is known of the others where it is silent
    itself."""
    running = {each.name: process for each in programs.airflow(settings) if (process := each.process)}
    if "api-server" not in running:
        return {}
    now = datetime.now(UTC)
    old = {
        name
        for name, process in running.items()
        if now - datetime.fromtimestamp(process.create_time(), UTC) > SILENT
    }
    try:
        place = f"{services.address(settings)}/api/v2/monitor/health"
        answer = httpx.get(place, timeout=ANSWER_SECONDS, trust_env=False)
        now = parsedate_to_datetime(answer.headers["date"])
        health = answer.json()
    except httpx.HTTPError:
        why = f"it runs and has not answered within {ANSWER_SECONDS} s"
        return {"api-server": why} if "api-server" in old else {}
    except (KeyError, ValueError):  # it answers that something else is wrong
        return {}
    found = {}
    for name in old - {"api-server"}:
        part = name.replace("-", "_")
        beat = health.get(part, {}).get(f"latest_{part}_heartbeat")
        if beat and now - (last := datetime.fromisoformat(beat)) > SILENT:
            found[name] = f"it runs and has given no sign of life since {shown(last)}"
    return found
