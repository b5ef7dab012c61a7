"""Run in the place of the `airflow` command: an API server that reports good health, or a waiting process."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

PARTS = ("metadatabase", "scheduler", "dag_processor")


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({part: {"status": "healthy"} for part in PARTS}).encode())


if sys.argv[1] == "api-server":
    HTTPServer(("127.0.0.1", int(os.environ["AIRFLOW__API__PORT"])), Health).serve_forever()
elif sys.argv[1] not in ("db", "pools"):
    time.sleep(600)
