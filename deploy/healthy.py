"""Exits with 0 if Airflow's API reports the given component as healthy: `healthy.py scheduler`."""

import json
import sys
import urllib.request

with urllib.request.urlopen("http://api-server:8080/api/v2/monitor/health", timeout=5) as answer:
    sys.exit(json.load(answer)[sys.argv[1]]["status"] != "healthy")
