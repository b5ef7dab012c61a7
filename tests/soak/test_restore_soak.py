"""Ten random moments of some nights are restored, and each is what it was."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import monotonic

import pytest

from support.backups import operating

FIRST = date(2012, 4, 23)
NIGHTS = 5
MOMENTS = 10


@pytest.mark.soak
def test_ten_random_moments(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("operator")
    chance = random.Random(20)
    with operating(folder, FIRST, FIRST + timedelta(days=NIGHTS)) as operator:
        for number in range(NIGHTS):
            operator.night(FIRST + timedelta(days=number))
            began_at = datetime.now(UTC)
            operator.record()
            if number % 2 == 0:
                operator.parc("backup")
            operator.states[-1] = operator.states[-1].__class__(
                **{**vars(operator.states[-1]), "moment": began_at}
            )
        end = datetime.now(UTC)
        # From the end of the first backup on, any moment.
        first = operator.states[0].moment + timedelta(seconds=10)
        for number in range(MOMENTS):
            moment = first + (end - first) * chance.random()
            began = monotonic()
            operator.parc("stop")
            operator.parc("restore", "--to", moment.isoformat(), "--replace", "--yes", "--by", "Anne")
            seconds = monotonic() - began
            operator.parc("up", "--no-airflow")
            found = operator.state()
            before = [state for state in operator.states if state.moment <= moment][-1]
            after = next((state for state in operator.states if state.moment > moment), before)
            assert before.build_id <= found.build_id <= after.build_id
            expected = before if found.build_id == before.build_id else after
            assert found.digest == expected.digest, f"moment {number}: {moment}"
            print(f"\n{moment}: build {found.build_id}, {seconds:.0f} s")
        assert all(first.moment < second.moment for first, second in pairwise(operator.states))
