with lines as (
    select * from {{ ref('stg_active_lines__lines') }}
),

-- Of each month, the newest snapshot that contains it; it stands in for later months until one is known.
months as (
    select
        month_date,
        max(snapshot_date) as snapshot_date,
        min(snapshot_date) as first_snapshot_date,
        coalesce(lead(month_date) over (order by month_date), 'infinity') as next_month_date
    from lines
    group by month_date
),

final as (
    select
        months.month_date,
        months.next_month_date,
        months.first_snapshot_date,
        lines.department_code,
        lines.market,
        lines.line_count
    from months
    inner join lines
        on months.month_date = lines.month_date
        and months.snapshot_date = lines.snapshot_date
)

select * from final
