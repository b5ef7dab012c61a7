"""What a person does on these pages: acknowledge a finding, dismiss it, or take that back."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import StringConstraints

from parc import desk
from parc.findings import ANSWER_LASTS, AnswerVerdict, FindingAnswer
from parc.instants import PARIS, shown
from parc.ui.visitors import Platform, SignedIn, from_our_pages

router = APIRouter()

GivenReason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")
]


@router.post("/findings/{finding_id}", dependencies=[Depends(from_our_pages)])
def answer_finding(
    request: Request,
    settings: Platform,
    visitor: SignedIn,
    finding_id: str,
    verdict: Annotated[AnswerVerdict, Form()],
    reason: Annotated[GivenReason, Form()],
    until: Annotated[datetime | None, Form()] = None,
) -> RedirectResponse:
    """Record what the visitor says about a finding, as `parc acknowledge`, `parc dismiss` and `parc reopen`
    do. `until` is in Paris time."""
    if not visitor.may_answer:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"{visitor.name} may not start runs, nor answer findings.")
    try:
        if verdict == "reopened":
            desk.reopen(settings, finding_id, by=visitor.name, reason=reason)
        else:
            answer = FindingAnswer(verdict, visitor.name, reason, _end(until))
            desk.answer(settings, finding_id, answer)
    except desk.NothingToAnswer as ended:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{ended.text}. It may have ended.") from None
    return RedirectResponse(f"{request.scope['root_path']}/#{finding_id}", HTTPStatus.SEE_OTHER)


def _end(until: datetime | None) -> datetime:
    now = datetime.now(PARIS)
    if until is None:
        return now + ANSWER_LASTS
    ends_at = until if until.tzinfo else until.replace(tzinfo=PARIS)
    if ends_at <= now:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{shown(ends_at)} is past.")
    return ends_at
