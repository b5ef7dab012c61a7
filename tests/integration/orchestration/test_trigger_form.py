"""A trigger form whose run would fail because of its dates is refused at once, with a sentence."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from parc.ui.trigger_form import TriggerForm, problem

TODAY = date(2012, 4, 26)


@pytest.fixture(scope="module")
def client() -> TestClient:
    """An API that repeats what arrives, behind the check."""
    api = FastAPI()

    @api.post("/api/v2/dags/{dag_id}/dagRuns")
    async def repeat(dag_id: str, request: Request) -> Any:
        return await request.json()

    return TestClient(TriggerForm(api, lambda: TODAY))


def trigger(client: TestClient, dag_id: str, **form: Any) -> str | None:
    """Why a form is refused; None if Airflow gets it, unchanged."""
    body = {"logical_date": None, "conf": form}
    answer = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
    if answer.status_code == 200:
        assert answer.json() == body
        return None
    assert answer.status_code == 400
    return answer.json()["detail"]


def test_an_empty_form_of_a_feed_is_refused(client: TestClient) -> None:
    for form in ({}, {"first_date": None, "last_date": None, "accept_date": False}):
        assert trigger(client, "ingest_calls", **form) == (
            "ingest_calls needs a business date: give the first one, and the last for several."
        )
        for dag_id in ("ingest_late", "export_routing", "build_marts"):
            assert trigger(client, dag_id, **form) is None


def test_a_date_after_today_is_refused_unless_it_is_accepted(client: TestClient) -> None:
    for dag_id in ("ingest_calls", "ingest_late"):
        assert trigger(client, dag_id, first_date="2012-04-26") is None
        assert trigger(client, dag_id, first_date="2012-04-20", last_date="2030-01-01") == (
            f"{dag_id}: 2030-01-01 is after today, 2012-04-26. If it is right, tick Accept the date."
        )
        assert trigger(client, dag_id, first_date="2030-01-01", accept_date=True) is None
    assert trigger(client, "export_routing", business_date="2030-01-01") == (
        "export_routing: 2030-01-01 is after today, 2012-04-26."
    )


def test_swapped_dates_and_no_dates_are_refused(client: TestClient) -> None:
    assert trigger(client, "ingest_late", first_date="2012-04-26", last_date="2012-04-20") == (
        "ingest_late: first_date 2012-04-26 is after last_date 2012-04-20; swap them."
    )
    assert trigger(client, "ingest_calls", first_date="26 April") == (
        "ingest_calls: first_date '26 April' is not a date such as 2012-04-25."
    )


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"conf": 3}', b'{"conf": ["first_date"]}'])
def test_what_is_no_form_is_left_to_airflow(body: bytes) -> None:
    assert problem("ingest_calls", body, TODAY) is None
