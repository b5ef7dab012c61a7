"""Estimates the effects of the rollout from the built models, before the marts are published."""
