-- What people do within days of each other is counted anew person by person.

do $$
begin
    if to_regclass('marts.fct_calls') is not null then
        create index on marts.fct_calls (identity_key, business_date);
        create index on marts.fct_boutique_visits (identity_key, business_date);
    end if;
end
$$;
