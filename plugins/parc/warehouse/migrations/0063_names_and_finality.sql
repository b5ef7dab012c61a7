-- Names, labels of reasons and finality in the marts of calls, and active_line_stock. The next build computes again all dates
-- that it can; those past retention keep what is filled in here.
do $$
declare
    mart text;
begin
    if to_regclass('marts.mart_service_quality_daily') is null then
        return;
    end if;
    set local role parc_transformer;

    create temporary table label (reason_code, reason_label_fr, reason_label_en) on commit drop as
    values
        ('BILLING', 'Facturation', 'Billing'),
        ('CONTRACT', 'Contrat', 'Contract'),
        ('EQUIPMENT', 'Équipement', 'Equipment'),
        ('FAULT', 'Panne', 'Fault'),
        ('INFORMATION', 'Renseignement', 'Information'),
        ('LINE_FAULT', 'Panne de ligne', 'Line fault'),
        ('MOBILE', 'Mobile', 'Mobile'),
        ('MOBILE_OPTION', 'Option mobile', 'Mobile option'),
        ('MOVE', 'Déménagement', 'Move'),
        ('ORDER', 'Commande', 'Order'),
        ('PURCHASE', 'Achat', 'Purchase'),
        ('SYNC_LOSS', 'Perte de synchronisation', 'Loss of sync'),
        ('TV', 'Télévision', 'Television'),
        ('WIFI', 'Wi-Fi', 'Wi-Fi'),
        ('unknown', 'Inconnu', 'Unknown');

    foreach mart in array array[
        'build.mart_service_quality_daily', 'marts.mart_service_quality_daily',
        'build.mart_repeat_calls_daily', 'marts.mart_repeat_calls_daily',
        'build.mart_wait_histogram_daily', 'marts.mart_wait_histogram_daily'
    ] loop
        execute format(
            $sql$
            alter table %1$s
                add column if not exists directorate_name text,
                add column if not exists region_name text;
            update %1$s as mart
            set
                directorate_name = coalesce(
                    (select names.directorate_name from reference.directorates as names
                    where names.directorate_code = mart.directorate_code), 'Unknown'
                ),
                region_name = coalesce(
                    (select names.region_name from reference.regions as names
                    where names.region_code = mart.region_code), 'Unknown'
                );
            alter table %1$s
                alter column directorate_name set not null,
                alter column region_name set not null;
            $sql$, mart
        );
        if mart like '%.mart_wait_histogram_daily' then
            continue;
        end if;
        execute format(
            $sql$
            alter table %1$s
                add column if not exists is_repeat_1d_final boolean not null default false,
                add column if not exists is_repeat_7d_final boolean not null default false,
                add column if not exists is_repeat_30d_final boolean not null default false;
            update %1$s as mart
            set
                is_repeat_1d_final = dates.is_1d,
                is_repeat_7d_final = dates.is_7d,
                is_repeat_30d_final = dates.is_30d
            from (
                select
                    business_date,
                    bool_or(status = 'final' and figure_window = 'repeat_1d') as is_1d,
                    bool_or(status = 'final' and figure_window = 'repeat_7d') as is_7d,
                    bool_or(status = 'final' and figure_window = 'repeat_30d') as is_30d
                from marts.mart_finality_daily
                group by business_date
            ) as dates
            where mart.business_date = dates.business_date;
            $sql$, mart
        );
        if mart like '%.mart_repeat_calls_daily' then
            execute format(
                $sql$
                alter table %1$s
                    add column if not exists reason_label_fr text,
                    add column if not exists reason_label_en text;
                update %1$s as mart
                set
                    reason_label_fr = coalesce(
                        (select reason_label_fr from label where label.reason_code = mart.reason_code), reason_code
                    ),
                    reason_label_en = coalesce(
                        (select reason_label_en from label where label.reason_code = mart.reason_code), reason_code
                    );
                alter table %1$s
                    alter column reason_label_fr set not null,
                    alter column reason_label_en set not null;
                $sql$, mart
            );
            continue;
        end if;
        execute format(
            $sql$
            alter table %1$s
                add column if not exists is_call_rate_final boolean not null default false,
                add column if not exists active_line_stock bigint;
            update %1$s as mart set active_line_stock = active_line_count;
            update %1$s as mart
            set is_call_rate_final = true
            from marts.mart_finality_daily as dates
            where
                mart.business_date = dates.business_date
                and dates.figure_window = 'call_rate'
                and dates.status = 'final';
            $sql$, mart
        );
    end loop;
    reset role;
end
$$;
