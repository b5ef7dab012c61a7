"""The known truth: what going live does to the calls of a region and market.

Whoever estimates the effect of the rollout from the marts can be held against these figures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effects:
    """Effects of going live, reached linearly over `ramp_days` unless said otherwise.

    `call_rate` and `repeat` are relative changes of first contacts per line (among them calls after a visit
    to a shop or around a job) and of the chance to call again; `satisfaction` is in standard deviations of
    the survey's latent score, from the first day on. Identification and hours are not touched; waits are as
    far as calls routed home overflow less (see `parc.simulate.calls`).
    """

    ramp_days: int = 56
    call_rate: float = -0.04
    repeat: float = -0.12
    satisfaction: float = 0.15


EFFECTS = Effects()
