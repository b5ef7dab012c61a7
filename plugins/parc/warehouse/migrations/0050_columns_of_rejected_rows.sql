-- The names of the values in a rejected row's text.

alter table ops.quarantine add column row_columns text[];
comment on column ops.quarantine.row_columns is
    'The columns of row_text, in its order; null where the row is masked as a whole, and for rows from before this column.';
