{{ percentiles(
    'mart_boutique_wait_histogram_daily', feed='boutique_visits', count='visit_count', value='wait_seconds',
    columns={'p50_seconds': 0.5, 'p95_seconds': 0.95}
) }}
