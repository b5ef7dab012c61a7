"""The warehouse: embedded server, connections by role, schema changes, partitions, maintenance."""

from parc.warehouse.connections import bi_address, connect, connect_directorate, dsn, parameters, table_cursor
from parc.warehouse.schema import migrate

__all__ = ["bi_address", "connect", "connect_directorate", "dsn", "migrate", "parameters", "table_cursor"]
