"""The machine that the platform runs on: its processes, their environment, and Airflow seen from outside.

Nothing here imports Airflow.
"""
