"""What the rollout did: effects of going live, estimated from the marts before they are published."""
