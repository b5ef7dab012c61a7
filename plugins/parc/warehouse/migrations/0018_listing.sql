-- What lay in a delivery's folder when it was looked at: what lies there otherwise is looked at again.

alter table ops.delivery add column listing jsonb;
comment on column ops.delivery.listing is
    'Data and control files as they lay there when they were looked at last: [[name, bytes, last write (UTC instant)]]. Null where a version before 0018 looked.';
