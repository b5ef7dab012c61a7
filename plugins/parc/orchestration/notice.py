"""One notice per run that failed or is overdue, and one when it is mended: stored in `ops.notice`, sent where
PARC_NOTICE_URLS says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert
from airflow.sdk.exceptions import AirflowFailException

from parc.errors import ParcError, parts_of
from parc.findings import FindingKind, Step, each_once, run_path
from parc.orchestration.deadline import RunFirstQueued

if TYPE_CHECKING:
    from parc.ledger.notices import Notice
    from parc.settings import Settings

log = logging.getLogger(__name__)

REASON = "reason"
REASON_LENGTH = 4_000
UNENDED = ("queued", "running")
"""States of a run that has not ended."""
NO_ADDRESS = "nobody; PARC_NOTICE_URLS names no address"
SILENT = "it ended without a message (killed, lost or timed out); see its log"


class Failed(AirflowFailException, ParcError):
    """An error that would come again: Airflow does not retry the task."""


def keep_reason(context: Mapping[str, Any]) -> None:
    """Callback of a task that failed: keep its error's text and steps for the notice of its run."""
    error = context.get("exception")
    if error:
        from parc.numbers import masked

        text, steps = parts_of(error)
        reason = {"text": masked(text)[:REASON_LENGTH], "steps": [asdict(step) for step in steps]}
        context["ti"].xcom_push(key=REASON, value=reason)


class RunNotice(BaseNotifier):
    """Reports a failed run once: which run and whose, which tasks failed and why, the impact, and what to do.
    It never raises: a notice that cannot be stored is still sent, and vice versa.

    `impact` is a sentence. In a command of `remedy`, `{dates}` becomes the run's dates as the command line
    takes them, and `{week}` the week of the first. `feed` is the one that the DAG ingests. Sent to the
    Apprise URLs in PARC_NOTICE_URLS, separated by spaces; without any it is stored and logged.
    """

    def __init__(
        self, kind: FindingKind, impact: str, remedy: tuple[Step, ...], feed: str | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.impact = impact
        self.remedy = remedy
        self.feed = feed

    def notify(self, context: Any) -> None:
        """Compose, store and send the notice of a failed run.

        Runs in the DAG processor, where a task's log is not at hand: the reasons were left as XComs.
        """
        try:
            dag, dates = context["dag"], _dates(context)
            if _is_reported(context):  # while the DAG processor stalled, the supervisor reported it
                log.info("%s of %s is reported already", context["run_id"], dag.dag_id)
                return
            reasons, steps = _reasons(context)
            report(
                self.kind,
                dag.dag_id,
                context["run_id"],
                dates,
                owner=dag.owner,
                reasons=reasons,
                impact=self.impact,
                remedy=(*steps, *self.remedy),
                feed=self.feed,
            )
        except Exception:
            log.exception("a run failed, and its notice could not be made")


class RunMended(BaseNotifier):
    """Ends the notices of a DAG when a run of it succeeds, and says so where they were sent. It never
    raises."""

    def notify(self, context: Any) -> None:
        """End the notices of the DAG."""
        mended(context["dag"].dag_id, context["run_id"])


def mended(dag_id: str, run_id: str) -> None:
    """End the notices of a DAG of which a run did what it should, and send one that says so. Never raises."""
    from parc.ledger import notices, write_notices
    from parc.settings import Settings
    from parc.warehouse import connect

    try:
        now = datetime.now(UTC)
        with connect(Settings.from_env(), "loader", autocommit=True) as connection:
            ended = {
                notice_id: replace(notification, ended_at=now, ended_by=run_id, retry_at=now)
                for notice_id, notification in notices.open_of_dag(connection, dag_id).items()
            }
            for notice_id, notification in ended.items():  # before they are sent, which takes time
                write_notices.update(connection, notice_id, notification)
            for notice_id, notification in ended.items():
                sent = notification.sent(now)
                write_notices.update(connection, notice_id, sent)
                log.info("%s: %s sent to: %s", sent.title, sent.ending, sent.end_sent_to or "nobody")
    except Exception:
        log.exception("%s succeeded, and its notices could not be ended", dag_id)


def alert(
    after: timedelta, kind: FindingKind, owner: str, impact: str, remedy: tuple[Step, ...]
) -> DeadlineAlert:
    """Reports a run that has not ended this long after it was first queued."""
    given = {
        "minutes": int(after.total_seconds() / 60),
        "kind": kind.value,
        "owner": owner,
        "impact": impact,
        "remedy": [asdict(step) for step in remedy],
    }
    return DeadlineAlert(RunFirstQueued(), after, SyncCallback(overdue, given))


def overdue(
    minutes: int,
    kind: str,
    owner: str,
    impact: str,
    remedy: list[dict[str, Any]],
    context: Mapping[str, Any],
) -> None:
    """Callback of `alert`, run by the executor: reports a run that is overdue. The run continues.

    Airflow also calls it for a run that failed before its deadline. That run has its notice.
    """
    try:
        run = context["dag_run"]
        if run["state"] not in UNENDED:
            log.info("%s %s is %s: not overdue", run["dag_id"], run["dag_run_id"], run["state"])
            return
        report(
            FindingKind(kind),
            run["dag_id"],
            run["dag_run_id"],
            _dates_of_run(run.get("conf") or {}, run.get("logical_date"), run["run_type"]),
            owner=owner,
            reasons=[f"it has not ended {minutes} minutes after it was queued; it is still running"],
            impact=impact,
            remedy=tuple(Step(**step) for step in remedy),
        )
    except Exception:
        log.exception("a run is overdue, and its notice could not be made")


def report(
    kind: FindingKind,
    dag_id: str,
    run_id: str,
    dates: list[date],
    *,
    owner: str,
    reasons: list[str],
    impact: str,
    remedy: tuple[Step, ...],
    feed: str | None = None,
) -> None:
    """Send a notice, log it, and store it with the addresses that took it. If one fails, the others still
    happen."""
    from parc.host.sending import Notification
    from parc.ledger.notices import Notice
    from parc.printable import uncoloured
    from parc.settings import Settings
    from parc.weekly.week import IsoWeek

    first, last = (dates[0], dates[-1]) if dates else (None, None)
    days = f"--date {first or 'DATE'}" if first == last else f"--from {first} --to {last}"
    week = IsoWeek.of(first).name if first else "WEEK"
    steps = [
        replace(step, command=step.command.replace("{dates}", days).replace("{week}", week))
        for step in remedy
    ]
    steps.append(Step("open the run", link=run_path(dag_id, run_id)))
    reasons = [uncoloured(reason) for reason in reasons]
    notice = Notice(kind, dag_id, run_id, feed, first, last, owner, reasons, impact, each_once(steps))
    settings, now = Settings.from_env(), datetime.now(UTC)
    notification = Notification(notice.title, body_of(notice, settings), now).sent(now)
    log.error(
        "%s\n\n%s\nsent to: %s",
        notification.title,
        notification.body,
        notification.sent_to or ("nobody yet" if notification.retry_at else NO_ADDRESS),
    )
    from parc.ledger import write_notices
    from parc.warehouse import connect

    try:
        with connect(settings, "loader") as connection:
            write_notices.keep(connection, notice, notification)
    except Exception:
        log.exception("the notice of %s %s is not in ops.notice", dag_id, run_id)


def body_of(notice: Notice, settings: Settings) -> str:
    """What a notice says below its title."""
    from airflow.sdk.configuration import conf

    from parc.host.sending import body

    lines = [
        *notice.reasons,
        "",
        f"Business date: {notice.dates}. Run: {notice.run_id}. Owner: {notice.owner}.",
        f"Impact: {notice.impact}",
    ]
    return body(lines, settings, notice.steps, notice.kind, conf.get("api", "base_url").rstrip("/"))


def _is_reported(context: Mapping[str, Any]) -> bool:
    """Whether there is a notice of this end of the run; a run that was cleared ends again."""
    from parc.ledger import notices
    from parc.settings import Settings
    from parc.warehouse import connect

    ended_at = getattr(context.get("dag_run"), "end_date", None)
    if ended_at is None:
        return False
    try:
        with connect(Settings.from_env(), "loader") as connection:
            return notices.is_reported(connection, context["dag"].dag_id, context["run_id"], ended_at)
    except Exception:
        log.exception("whether it is reported already is not known")
        return False


def _reasons(context: Mapping[str, Any]) -> tuple[list[str], list[Step]]:
    """The failed tasks of a run in their order, each with its reason; and the steps of their errors."""
    dag, run_id, ti = context["dag"], context["run_id"], context.get("ti")
    states: Mapping[str, str] = {}
    if ti is not None:
        try:
            states = ti.get_task_states(dag_id=dag.dag_id, run_ids=[run_id]).get(run_id, {})
        except Exception:
            log.exception("the states of the tasks are not known")
    reasons, steps = [], []
    for task in dag.topological_sort():
        if states.get(task.task_id) != "failed":
            continue
        reason: Mapping[str, Any] | None = None
        try:
            reason = ti.xcom_pull(task_ids=task.task_id, key=REASON, run_id=run_id) if ti else None
        except Exception:
            log.exception("the reason of %s is not known", task.task_id)
        reason = reason or {"text": SILENT, "steps": []}
        reasons.append(f"{task.task_id}: {reason['text']}")
        steps += [Step(**step) for step in reason["steps"]]
    if reasons:
        return reasons, steps
    said = context.get("reason")
    return ["the run timed out" if said == "timed_out" else f"Airflow says: {said}"], []


def _dates(context: Mapping[str, Any]) -> list[date]:
    """The business dates of a run; none where it has none."""
    run = context.get("dag_run")
    if run is None:
        return []
    return _dates_of_run(run.conf or {}, run.logical_date, str(run.run_type))


def _dates_of_run(conf: Mapping[str, Any], logical_date: Any, run_type: str) -> list[date]:
    """The business dates of a run; none where it has none, or where those of its form cannot be read."""
    from parc.orchestration.dates import business_dates

    tick = datetime.fromisoformat(logical_date) if isinstance(logical_date, str) else logical_date
    try:
        return business_dates(conf, tick if run_type in ("scheduled", "backfill") else None)
    except AirflowFailException:
        return []  # the reason of its failure says what is wrong with them
