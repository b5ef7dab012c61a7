{%- set sums = [
    'requested_count',
    'requested_after_installation_count',
    'done_with_line_count',
    'first_time_right_count',
    'promised_slot_count',
    'appointment_count',
    'appointment_kept_count',
    'operator_no_show_count',
    'customer_no_access_count',
    'appointment_delay_count',
    'appointment_delay_days',
    'supply_count',
    'supply_days',
    'repair_count',
    'repair_hours',
    'active_line_stock',
] -%}
{%- set windows = ['interventions', 'first_time_right_30d'] -%}

{{ rolled_up_with_finality(
    'mart_interventions_daily', sums, windows, by='kind', complete='is_interventions_complete'
) }}

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    kind,
    day_count,
    is_interventions_final,
    is_first_time_right_30d_final,
    requested_count::bigint as requested_count,
    done_with_line_count::bigint as done_with_line_count,
    promised_slot_count::bigint as promised_slot_count,
    appointment_count::bigint as appointment_count,
    {{ rate('interventions', 'first_time_right_rate') }} as first_time_right_rate,
    {{ rate('interventions', 'appointment_kept_rate') }} as appointment_kept_rate,
    {{ rate('interventions', 'operator_no_show_rate') }} as operator_no_show_rate,
    {{ rate('interventions', 'customer_no_access_rate') }} as customer_no_access_rate,
    {{ rate('interventions', 'mean_appointment_delay_days') }} as mean_appointment_delay_days,
    {{ rate('interventions', 'mean_supply_days') }} as mean_supply_days,
    {{ rate('interventions', 'mean_repair_hours') }} as mean_repair_hours,
    {{ rate('interventions', 'repair_after_installation_share') }} as repair_after_installation_share,
    (case
        when kind = 'repair'
            then {{ rate('interventions', 'fault_rate_per_1000_lines') }}
    end)::numeric(16, 6) as fault_rate_per_1000_lines,
    requested_after_installation_count::bigint as requested_after_installation_count,
    first_time_right_count::bigint as first_time_right_count,
    appointment_kept_count::bigint as appointment_kept_count,
    operator_no_show_count::bigint as operator_no_show_count,
    customer_no_access_count::bigint as customer_no_access_count,
    appointment_delay_count::bigint as appointment_delay_count,
    appointment_delay_days::numeric(20, 6) as appointment_delay_days,
    supply_count::bigint as supply_count,
    supply_days::numeric(20, 6) as supply_days,
    repair_count::bigint as repair_count,
    repair_hours::numeric(20, 6) as repair_hours,
    (active_line_stock / day_count)::numeric(16, 6) as mean_active_line_stock,
    is_whole_period
from rolled
