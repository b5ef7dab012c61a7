{{ percentiles(
    'mart_wait_histogram_daily', feed='calls', count='answered_count', value='wait_seconds', by='market',
    columns={'p50_seconds': 0.5, 'p95_seconds': 0.95}
) }}
