"""Sends notices to the Apprise URLs in PARC_NOTICE_URLS, and tries again what an address did not take; and
mails by the server of another such URL.

Addresses are named without their secrets: of a webhook's path, which is often one, the ends are shown.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from parc.errors import ConfigurationError
from parc.findings import FindingKind, Step
from parc.host import shell
from parc.instants import shown
from parc.printable import uncoloured
from parc.settings import Settings, given_secret

log = logging.getLogger(__name__)

SOONEST, LATEST = timedelta(minutes=2), timedelta(hours=1)
"""How soon an address that took nothing is tried again: after twice as long each time, between these."""
GIVEN_UP = timedelta(days=1)


@dataclass(frozen=True)
class Notification:
    """What is reported of one cause: a failure, later its end. `sent_to` and `end_sent_to` are the addresses
    that took it, separated by spaces, None if none did. `ended_by` is the run that mended it. What was left
    undone is tried again at `retry_at`. All instants are in UTC."""

    title: str
    body: str
    at: datetime
    sent_to: str | None = None
    retry_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_sent_to: str | None = None

    @property
    def ending(self) -> str:
        """What is said when it has ended."""
        assert self.ended_at
        minutes = int((self.ended_at - self.at).total_seconds() / 60)
        by = f" by run {self.ended_by}" if self.ended_by else ""
        return f"Mended after {minutes} min{by}. The notice was of {shown(self.at)}."

    def sent(self, now: datetime) -> Notification:
        """This, after one try to send what is due to the addresses that have not taken it: the notice to all
        of PARC_NOTICE_URLS, its end to those that had the notice."""
        if self.ended_at:
            due = [] if self.sent_to is None else self.sent_to.split()
            took, is_done = send(f"mended: {self.title}", self.ending, "success", self.end_sent_to, due)
            return replace(self, end_sent_to=took, retry_at=self._next(is_done, self.ended_at, now))
        took, is_done = send(self.title, self.body, "failure", self.sent_to)
        return replace(self, sent_to=took, retry_at=self._next(is_done, self.at, now))

    @staticmethod
    def _next(is_done: bool, since: datetime, now: datetime) -> datetime | None:
        if is_done or now - since > GIVEN_UP:
            return None
        return now + min(max(now - since, SOONEST), LATEST)


def send(
    title: str,
    body: str,
    kind: Literal["failure", "success"],
    sent_to: str | None,
    due: Sequence[str] | None = None,
) -> tuple[str | None, bool]:
    """Send a text to the addresses, without those of `sent_to`, which have it; of `due` alone if this is
    given. Returns the addresses that have it then, and whether those are all."""
    taken = (sent_to or "").split()
    missing, is_done = list(taken), True
    try:
        services = list(_services())
    except ConfigurationError as error:
        log.error("%s", error)
        return sent_to, False
    for service in services:
        name = named(service)
        if name in missing:
            missing.remove(name)
        elif due is None or name in due:
            try:
                has_taken = service.notify(title=f"PARC: {title}", body=body, notify_type=kind)
            except Exception as error:  # its text may hold the address
                log.error("%s: %s", name, type(error).__name__)
                has_taken = False
            if has_taken:
                taken.append(name)
            else:
                log.error("%s did not accept the notice; it is tried again", name)
                is_done = False
    return " ".join(taken) or None, is_done


def mailer(variable: str) -> Callable[[str, str, str, Path], bool]:
    """Mails an HTML page by the server that a variable names as Apprise's `mailto://` or `mailtos://`: to
    whom, its title, the page and a file. It returns whether the server took the mail.

    Raises ConfigurationError if the variable is not set or is no such URL.
    """
    apprise = _apprise()
    url = given_secret(variable)
    server = apprise.Apprise.instantiate(url) if url and url.startswith(("mailto://", "mailtos://")) else None
    if server is None:
        raise ConfigurationError(
            f"{variable} must name a mail server, such as mailtos://NAME:PASSWORD@smtp.example.fr?from=parc@example.fr"
        )

    def mail(to: str, title: str, page: str, attached: Path) -> bool:
        server.targets = [(False, to)]
        try:
            is_taken = server.notify(
                title=title,
                body=page,
                body_format=apprise.NotifyFormat.HTML,
                attach=apprise.AppriseAttachment(str(attached)),
            )
        except Exception as error:  # its text may hold the address
            log.error("%s: %s", named(server), type(error).__name__)
            return False
        return bool(is_taken)

    return mail


def _apprise() -> Any:
    import apprise

    for library in ("apprise", "urllib3"):  # below that they log addresses
        logging.getLogger(library).setLevel(logging.WARNING)
    return apprise


def _services() -> Iterator[Any]:
    urls = (given_secret("PARC_NOTICE_URLS") or "").split()
    if not urls:
        return
    apprise = _apprise()
    for number, url in enumerate(urls, start=1):
        service = apprise.Apprise.instantiate(url)
        if service is None:
            log.error("address %s of PARC_NOTICE_URLS is not an Apprise URL", number)
        else:
            yield service


def named(service: Any) -> str:
    """The address of an Apprise service without passwords, options and what its path may hide."""
    address = re.sub(r"\?.*", "", str(service.url(privacy=True)))
    path = (getattr(service, "fullpath", None) or "").strip("/")
    return address.replace(f"/{path}", f"/{path[0]}...{path[-1]}") if path else address


def body(
    lines: Sequence[str], settings: Settings, steps: Sequence[Step], kind: FindingKind, airflow: str
) -> str:
    """What a notice says below its title: `lines`, then what to do. `airflow` is the address below which
    links and runbooks open; without one, the runbook is named as a file."""
    runbook = f"{airflow}/parc/runbooks/{kind.slug}" if airflow else str(settings.project / kind.runbook)
    return uncoloured(
        "\n".join(
            [
                *lines,
                f"In a shell, first: {shell.definition(settings)}",
                "What to do:",
                *(f"- {step.to_text(airflow)}" for step in steps),
                f"Runbook: {runbook}",
            ]
        )
    )
