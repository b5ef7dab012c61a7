"""What the approval's answer does to the release."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("user", "said"), [({"name": "Anne"}, "was rejected by Anne"), (None, "was not approved in time")]
)
def test_a_rejected_release_says_that_the_switch_keeps_its_table(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch, user: dict[str, str] | None, said: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from parc.orchestration import release

    pulled: dict[str, Any] = {
        "business_date": "2012-04-24",
        "plan_hash": "0f",
        "return_value": {"chosen_options": ["Reject"], "responded_by_user": user},
    }
    ti = SimpleNamespace(xcom_pull=lambda task_ids, key="return_value": pulled[key])
    monkeypatch.setattr(release, "get_current_context", lambda: {"ti": ti})
    with pytest.raises(AirflowSkipException, match=f"2012-04-25 {said}; the switch keeps its table"):
        release.apply_release.function()


def test_the_form_is_the_plans_words(dags: dict[str, Any]) -> None:
    approval = dags["export_routing"].get_task("approve")
    assert approval.options == ["Approve", "Reject"] and approval.defaults == ["Reject"]
    assert "key='subject'" in approval.subject and "key='body'" in approval.body
