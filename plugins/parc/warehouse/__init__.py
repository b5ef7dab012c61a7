"""The warehouse: the embedded server, connections by role, schema changes, partitions."""

from parc.warehouse.connections import connect, dsn, parameters
from parc.warehouse.schema import migrate

__all__ = ["connect", "dsn", "migrate", "parameters"]
