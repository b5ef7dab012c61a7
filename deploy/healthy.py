"""Ends with 0 where Airflow's API says that a part of it is at work, as `healthy.py scheduler`."""

import json
import sys
import urllib.request

with urllib.request.urlopen("http://api-server:8080/api/v2/monitor/health", timeout=5) as answer:
    sys.exit(json.load(answer)[sys.argv[1]]["status"] != "healthy")
