"""A client of the running Airflow: triggers a DAG, waits for it, answers an approval."""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from typing import Any

import httpx

from parc.errors import ConfigurationError, ParcError
from parc.findings import Step
from parc.host import services, users
from parc.settings import Settings

POLL_SECONDS = 0.5
FULL_BELOW_BYTES = 64 * 1024**2
"""With less space than this on the disk, PostgreSQL and Airflow cannot write."""


class Airflow:
    """Airflow's REST API under one of its logins."""

    def __init__(self, settings: Settings, name: str = users.ADMIN) -> None:
        """Raises ConfigurationError when Airflow does not answer, or refuses the login of `name`."""
        self.address, self.home = services.address(settings), settings.home
        self.http = httpx.Client(base_url=self.address, timeout=30, trust_env=False)
        login = {"username": name, "password": users.password(settings, name)}
        answer = self._request("POST", "/auth/token", json=login)
        if answer.is_error:
            raise ConfigurationError(
                f"Airflow at {self.address} refuses the login of {name}: {self._why(answer)}",
                steps=(Step("see what is wrong", "parc doctor"),),
            )
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **keywords: Any) -> Any:
        """One call of /api/v2; returns the answer's JSON.

        Raises ParcError with Airflow's own message when it refuses, and ConfigurationError when it fails or
        no longer answers.
        """
        answer = self._request(method, f"/api/v2{path}", **keywords)
        if answer.is_server_error:
            raise ConfigurationError(
                f"Airflow failed at {method} {path}: {self._why(answer)}",
                steps=(Step("see what is wrong", "parc doctor"), Step("find the logs", "parc status --json")),
            )
        if answer.is_error:
            raise ParcError(
                f"Airflow refused {method} {path}: {self._why(answer)}",
                steps=(Step("find the logs", "parc status --json"),),
            )
        return answer.json()

    def _request(self, method: str, path: str, **keywords: Any) -> httpx.Response:
        try:
            return self.http.request(method, path, **keywords)
        except httpx.HTTPError as error:
            raise ConfigurationError(
                f"Airflow at {self.address} does not answer ({str(error) or type(error).__name__})",
                steps=(
                    Step("see what has ended", "parc doctor"),
                    Step("start it", "parc up"),
                    Step("run this again"),
                ),
            ) from None

    def _why(self, answer: httpx.Response) -> str:
        """The status and Airflow's message; of an error that Airflow hides, what is known of its cause."""
        free = shutil.disk_usage(self.home).free
        if answer.is_server_error and free < FULL_BELOW_BYTES:
            return f"{answer.status_code}; the disk of {self.home} is full ({free // 1024**2} MiB free)"
        return f"{answer.status_code} {answer.text[:300]}"

    def wait_for_dags(self, dag_ids: set[str], seconds: float = 90) -> None:
        """Wait until Airflow has read these DAGs.

        Raises ParcError with the import errors, or naming the missing DAGs, when it has not in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = {dag["dag_id"] for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]}
            if dag_ids <= found:
                return
            errors = self.call("GET", "/importErrors")["import_errors"]
            if errors or time.monotonic() > deadline:
                reasons = "; ".join(error["stack_trace"].strip().splitlines()[-1] for error in errors)
                raise ParcError(f"DAGs missing: {', '.join(sorted(dag_ids - found))} {reasons}")
            time.sleep(POLL_SECONDS)

    def pause(self, dag_id: str, is_paused: bool) -> None:
        """Pause a DAG, or let it run."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": is_paused})

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run with these parameters; returns its id."""
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The DAG's last hundred runs, oldest first."""
        params = {"order_by": "-run_after", "limit": 100}
        return list(reversed(self.call("GET", f"/dags/{dag_id}/dagRuns", params=params)["dag_runs"]))

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a run: queued, running, success, failed."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def pending_approvals(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The approvals that a run waits for."""
        details = self.call(
            "GET", f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails", params={"response_received": False}
        )
        return list(details["hitl_details"])

    def scheduler_heartbeat(self) -> datetime:
        """When the scheduler last came to the end of a round."""
        health = self.call("GET", "/monitor/health")
        return datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])

    def approve(self, detail: dict[str, Any]) -> None:
        """Answer an approval with Approve, under this login's name."""
        ti = detail["task_instance"]
        self.call(
            "PATCH",
            f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/-1/hitlDetails",
            json={"chosen_options": ["Approve"], "params_input": {}},
        )

    def failures(self, dag_id: str, run_id: str) -> str:
        """The failed tasks of a run, and the address of their logs."""
        tasks = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
        names = ", ".join(failed) or "no task"
        return f"{dag_id}: {names} failed; see {self.address}/dags/{dag_id}/runs/{run_id}"
