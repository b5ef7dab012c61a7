-- On which page in Data Docs a delivery was judged: recorded, where it was found by the times of files.

alter table ops.delivery add column docs_page text;
comment on column ops.delivery.docs_page is
    'Page of its suite''s run, as a path inside Data Docs; null = not judged as a whole, or before version 0.2.0.';
