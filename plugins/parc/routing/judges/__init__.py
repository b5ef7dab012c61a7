"""The judges: what a release would do to calls and sites, and whether it may go ahead."""
