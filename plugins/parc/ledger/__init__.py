"""The platform's own state, kept in the schema `ops`: deliveries, what is due, builds, releases, locks.

All SQL on `ops` is in this package, except for the migrations and the dbt project. Readers return frozen
dataclasses; the `write_...` modules write. Every function uses its caller's connection, and so the caller's
rights and transaction.
"""
