"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from parc.wording import counted


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 deliveries"), (1, "1 delivery"), (2, "2 deliveries"), (1_200, "1,200 deliveries")],
)
def test_a_noun_follows_its_number(count: int, said: str) -> None:
    assert counted(count, "delivery", "deliveries") == said


def test_a_plural_has_an_s_unless_another_is_given() -> None:
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")
