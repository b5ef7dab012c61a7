"""Pages inside the Airflow UI: what wants doing, what each run made. They read and never act."""
