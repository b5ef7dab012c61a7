with final as (
    {{ due_deliveries() }}
)

select * from final
