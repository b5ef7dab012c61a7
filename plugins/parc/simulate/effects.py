"""The known truth: what going live does to the calls of a region and market.

Estimates of the rollout's effect from the marts can be compared with these figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True)
class Overload:
    """A flooded site: from `starts` on `day` (on the site's clock) and for `half_hours`, `share` of all calls
    that reach a queue, wherever they come from, go to `site` first."""

    site: str
    day: date
    starts: time
    half_hours: int
    share: float


@dataclass(frozen=True)
class Effects:
    """Effects of going live, reached linearly over `ramp_days` unless stated otherwise.

    `call_rate` is the relative change of first contacts per line, including calls after a boutique visit or
    around a job; `repeat` that of the chance to call again. `satisfaction` is in standard deviations of the
    survey's latent score and applies in full from the first day. Identification and opening hours do not
    change; waits change only because calls routed home overflow less (see `parc.simulate.calls`).

    `answered_at_home` has nothing to do with dates: what an answer by the customer's own directorate adds to
    the latent score, wherever the region stands. The default plants no such gap. Nor have `overloads`: they
    flood sites, and the default floods none.
    """

    ramp_days: int = 56
    call_rate: float = -0.04
    repeat: float = -0.12
    satisfaction: float = 0.15
    answered_at_home: float = 0.0
    overloads: tuple[Overload, ...] = ()


EFFECTS = Effects()
