-- What a run of Airflow's made, so that its pages can show it.

create table ops.airflow_run (
    dag_id text not null,
    run_id text not null,
    build_id bigint references ops.build on delete cascade,
    delivery_id bigint references ops.delivery on delete cascade,
    at timestamptz not null default clock_timestamp(),
    constraint one_thing check (num_nonnulls(build_id, delivery_id) = 1),
    constraint noted_once unique nulls not distinct (dag_id, run_id, build_id, delivery_id)
);
create index airflow_run_by_build on ops.airflow_run (build_id);
create index airflow_run_by_delivery on ops.airflow_run (delivery_id);
comment on table ops.airflow_run is
    'Builds and deliveries by the run of Airflow''s that they come from; none where the command line was used.';
comment on column ops.airflow_run.delivery_id is
    'Delivery that the run read, or found published already with the same bytes.';
comment on column ops.airflow_run.at is 'When the run began with it (UTC instant).';

grant select, insert on ops.airflow_run to parc_loader, parc_transformer;
