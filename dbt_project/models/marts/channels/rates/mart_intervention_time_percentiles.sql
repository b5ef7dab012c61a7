{{ percentiles(
    'mart_intervention_time_histogram_daily', feed='interventions', count='job_count', value='hours',
    kept=['kind', 'figure'],
    columns={'p50_hours': 0.5, 'p80_hours': 0.8, 'p95_hours': 0.95, 'p99_hours': 0.99}
) }}
