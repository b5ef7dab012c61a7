"""Pages inside the Airflow UI: what needs attention, and what each run made. They only read."""
