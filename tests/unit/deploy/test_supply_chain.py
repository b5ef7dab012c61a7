"""The platform's bill of materials, and the check for known vulnerabilities."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements.lock"
AUDIT_LOCK = ROOT / "deploy/supply_chain/requirements.lock"
PYTHON = ROOT / ".venv-audit/bin/python"


def make(target: str) -> None:
    """Run a target in the existing environment, however old."""
    subprocess.run(["make", "-o", ".venv/ready", target], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def bill() -> bytes:
    make("sbom")
    return (ROOT / "sbom.cdx.json").read_bytes()


def test_bill_lists_each_locked_version_with_its_hashes_and_marker(bill: bytes) -> None:
    lines = re.split(r"\n(?=[a-z0-9])", LOCK.read_text().replace("\\\n", ""))
    locked = {}
    for line in lines:
        if "==" in line:
            requirement = Requirement(line.partition(" --hash")[0].strip())
            version = str(requirement.specifier).removeprefix("==")
            locked[requirement.name, version] = (
                sorted(re.findall("sha256:([0-9a-f]{64})", line)),
                str(requirement.marker) if requirement.marker else None,
            )
    reported = {
        (each["name"], each["version"]): (
            sorted(one["content"] for one in each["hashes"] if one["alg"] == "SHA-256"),
            next((one["value"] for one in each.get("properties", [])), None),
        )
        for each in json.loads(bill)["components"]
    }
    assert len(reported) > 200
    assert reported == locked


def test_bill_is_reproducible_from_the_lock(bill: bytes) -> None:
    make("sbom")
    assert (ROOT / "sbom.cdx.json").read_bytes() == bill
    assert not re.search(rb'"(timestamp|serialNumber)"', bill)


def test_no_address_of_a_registry_is_shown(bill: bytes) -> None:
    assert re.findall(rb"\w+://[^\"]+", bill) == [b"http://cyclonedx.org/schema/bom-1.6.schema.json"]
    for lock in (LOCK, AUDIT_LOCK):
        assert not re.search(r"://|--(extra-)?index|--find-links", lock.read_text())


def test_bill_refuses_a_version_without_a_hash(tmp_path: Path, bill: bytes) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("pytz==2024.1\n")
    script = ROOT / "deploy/supply_chain/sbom.py"
    ended = subprocess.run(
        [PYTHON, script, lock, tmp_path / "bill.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (
        1,
        f"{lock}: pytz is not pinned with a hash; write the lock again with `make lock`\n",
    )
    assert not (tmp_path / "bill.json").exists()


class _Osv(BaseHTTPRequestHandler):
    """Answers like the service: only `jinja2` has a vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = asked["package"]
        found = {
            "id": "PYSEC-2012-1",
            "summary": "planted",
            "affected": [
                {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "99.0"}]}]}
            ],
        }
        answer = json.dumps({"vulns": [found]} if package["name"] == "jinja2" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def service() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(lock: Path, service: str) -> subprocess.CompletedProcess[str]:
    make(".venv-audit/ready")
    environment = os.environ | {
        "PIP_AUDIT_OSV_URL": service,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    return subprocess.run(
        [PYTHON, ROOT / "deploy/supply_chain/audit.py", lock],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def part_of_lock(tmp_path: Path, *names: str) -> Path:
    lines = re.split(r"\n(?=[a-z0-9])", LOCK.read_text())
    lock = tmp_path / "lock.txt"
    lock.write_text("\n".join(line for line in lines if line.partition("==")[0] in names) + "\n")
    return lock


def test_audit_reports_what_is_vulnerable(tmp_path: Path, service: str) -> None:
    ended = audit(part_of_lock(tmp_path, "jinja2", "pyyaml"), service)
    assert ended.returncode == 1
    assert re.search(r"^jinja2 .*PYSEC-2012-1 +99\.0", ended.stdout, re.MULTILINE)
    assert "pyyaml" not in ended.stdout


def test_audit_reports_no_vulnerability(tmp_path: Path, service: str) -> None:
    lock = part_of_lock(tmp_path, "pyyaml")
    ended = audit(lock, service)
    assert (ended.returncode, ended.stdout) == (0, f"{lock}: no known vulnerability\n")


def test_audit_without_a_network_says_so_in_one_line(tmp_path: Path) -> None:
    ended = audit(part_of_lock(tmp_path, "pyyaml"), "http://127.0.0.1:1/v1/query")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "the audit needs a network" in ended.stderr
    assert "PIP_AUDIT_OSV_URL" in ended.stderr
    assert ended.stderr.count("\n") == 1
