"""Steering: drafts, releases, drains, approvals, the hold and the kill switch."""
