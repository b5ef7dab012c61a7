"""The platform's own state, kept in the schema `ops`: deliveries, what is due, builds, releases, locks.

All SQL on `ops` stands in this room, apart from the migrations and the dbt project. Readers return frozen
dataclasses; what writes is in modules of its own, called `write_...`. Every function takes the connection of
its caller: so the rights, and the transaction, are the caller's.
"""
