"""One notice per run that failed or is overdue: stored in `ops.notice`, sent where PARC_NOTICE_URLS says."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from parc.errors import ConfigurationError
from parc.orchestration.deadline import RunFirstQueued
from parc.settings import given_secret

log = logging.getLogger(__name__)

REASON = "reason"
REASON_LENGTH = 4_000


def keep_reason(context: Mapping[str, Any]) -> None:
    """Task-level callback: leave the words with which a task failed for the notice of its run."""
    error = context.get("exception")
    if error:
        from parc.numbers import masked

        context["ti"].xcom_push(key=REASON, value=masked(str(error))[:REASON_LENGTH])


class RunNotice(BaseNotifier):
    """Tells once of a run that failed: which and whose, what failed and why in the task's own words, what
    stays as it was, what to do. It never raises: what cannot be stored is still sent, and vice versa.

    `stays` and `mend` are sentences of the DAG; `{dates}` in `mend` becomes the dates as the command line
    takes them, nothing where the run has none. Sent to the Apprise URLs in PARC_NOTICE_URLS, separated by
    spaces; without any it is stored and logged.
    """

    def __init__(self, stays: str, mend: str) -> None:
        super().__init__()
        self.stays = stays
        self.mend = mend

    def notify(self, context: Any) -> None:
        """Compose, store and send the notice of a failed run.

        Runs in the DAG processor, where a task's log is not at hand: the reasons were left as XComs.
        """
        try:
            dag, run_id = context["dag"], context["run_id"]
            dates = _dates(context)
            text = compose(
                f"{dag.dag_id} failed", run_id, dates, dag.owner, _why(context), self.stays, self.mend
            )
            deliver(dag.dag_id, run_id, dates, dag.owner, text)
        except Exception:
            log.exception("a run failed and no notice could be made of it")


def alert(after: timedelta, owner: str, stays: str, mend: str) -> DeadlineAlert:
    """Has a notice made of a run that has not ended so long after it was first queued."""
    told = {"minutes": int(after.total_seconds() / 60), "owner": owner, "stays": stays, "mend": mend}
    return DeadlineAlert(RunFirstQueued(), after, SyncCallback(overdue, told))


def overdue(minutes: int, owner: str, stays: str, mend: str, context: Mapping[str, Any]) -> None:
    """Callback of `alert`, run by the executor: tell of a run that is overdue, and goes on."""
    try:
        run = context["dag_run"]
        dates = _dates_of_run(run.get("conf") or {}, run.get("logical_date"), run["run_type"])
        why = [f"it has not ended {minutes} minutes after it was queued; it goes on"]
        text = compose(f"{run['dag_id']} is overdue", run["dag_run_id"], dates, owner, why, stays, mend)
        deliver(run["dag_id"], run["dag_run_id"], dates, owner, text)
    except Exception:
        log.exception("a run is overdue and no notice could be made of it")


def compose(
    title: str, run_id: str, dates: list[date], owner: str, why: list[str], stays: str, mend: str
) -> str:
    """The notice's text; its first line says it all in short."""
    from airflow.sdk.configuration import conf

    dag_id = title.split()[0]
    span = " to ".join(str(day) for day in sorted({dates[0], dates[-1]})) if dates else "none"
    option = ""
    if dates:
        first, last = dates[0], dates[-1]
        option = f"--date {first}" if first == last else f"--from {first} --to {last}"
    address = f"{conf.get('api', 'base_url').rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    lines = [
        title + (f" for {span}" if dates else ""),
        "",
        *why,
        "",
        f"Business date: {span}. Run: {run_id}. Owner: {owner}.",
        f"What stays: {stays}",
        f"What to do: {mend.replace('{dates}', option).replace(' ;', ';')}",
        f"Look: {address}",
    ]
    return "\n".join(lines)


def deliver(dag_id: str, run_id: str, dates: list[date], owner: str, text: str) -> None:
    """Send the notice, log it, and store it with where it went; each whatever becomes of the others."""
    sent_to = _send(text)
    log.error("%s\nsent to: %s", text, sent_to or "nobody; PARC_NOTICE_URLS names no address")
    from parc.settings import Settings
    from parc.warehouse import connect

    try:
        with connect(Settings.from_env(), "loader") as connection:
            connection.execute(
                "insert into ops.notice (dag_id, run_id, business_date, owner, text, sent_to) "
                "values (%s, %s, %s, %s, %s, %s) on conflict (dag_id, run_id) do update "
                "set text = excluded.text, sent_to = excluded.sent_to, at = excluded.at",
                [dag_id, run_id, dates[0] if dates else None, owner, text, sent_to],
            )
    except Exception:
        log.exception("the notice of %s %s is not in ops.notice", dag_id, run_id)


def _send(text: str) -> str | None:
    """Where the notice was taken; addresses without their passwords."""
    try:
        urls = (given_secret("PARC_NOTICE_URLS") or "").split()
    except ConfigurationError as error:
        log.error("%s", error)
        return None
    if not urls:
        return None
    import apprise

    title, _, body = text.partition("\n")
    taken = []
    for number, url in enumerate(urls, start=1):
        try:
            service = apprise.Apprise.instantiate(url)
            if service is None:
                log.error("address %s of PARC_NOTICE_URLS is not an Apprise URL", number)
            elif service.notify(title=f"PARC: {title}", body=body.strip(), notify_type="failure"):
                taken.append(_named(service))
            else:
                log.error("%s did not take the notice", _named(service))
        except Exception:
            log.exception("address %s of PARC_NOTICE_URLS did not take the notice", number)
    return " ".join(taken) or None


def _named(service: Any) -> str:
    """The address without passwords and options."""
    return re.sub(r"\?.*", "", str(service.url(privacy=True)))


def _why(context: Mapping[str, Any]) -> list[str]:
    """The failed tasks of a run, in their order, each with its reason."""
    dag, run_id, ti = context["dag"], context["run_id"], context.get("ti")
    states: Mapping[str, str] = {}
    if ti is not None:
        try:
            states = ti.get_task_states(dag_id=dag.dag_id, run_ids=[run_id]).get(run_id, {})
        except Exception:
            log.exception("the states of the tasks are not known")
    why = []
    for task in dag.topological_sort():
        if states.get(task.task_id) != "failed":
            continue
        reason = None
        try:
            reason = ti.xcom_pull(task_ids=task.task_id, key=REASON, run_id=run_id) if ti else None
        except Exception:
            log.exception("the reason of %s is not known", task.task_id)
        why.append(
            f"{task.task_id}: {reason or 'it ended without a word (killed, lost or timed out); see its log'}"
        )
    if not why:
        why = [
            "the run timed out"
            if "timed_out" in str(context.get("reason"))
            else f"Airflow says: {context.get('reason')}"
        ]
    return why


def _dates(context: Mapping[str, Any]) -> list[date]:
    """Business dates of a run, as far as it names them."""
    run = context.get("dag_run")
    if run is None:
        return []
    return _dates_of_run(run.conf or {}, run.logical_date, str(run.run_type))


def _dates_of_run(conf: Mapping[str, Any], logical_date: Any, run_type: str) -> list[date]:
    from parc.orchestration.dates import given_dates, night_of

    if conf.get("business_date"):
        return [date.fromisoformat(conf["business_date"])]
    given = given_dates(conf)
    if given:
        return given
    if logical_date is None or run_type not in ("scheduled", "backfill"):
        return []
    moment = datetime.fromisoformat(logical_date) if isinstance(logical_date, str) else logical_date
    return [night_of(moment)]
