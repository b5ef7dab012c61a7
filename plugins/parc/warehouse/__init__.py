"""The warehouse: embedded server, connections by role, schema changes, partitions, maintenance."""

from parc.warehouse.connections import connect, dsn, parameters
from parc.warehouse.schema import migrate

__all__ = ["connect", "dsn", "migrate", "parameters"]
