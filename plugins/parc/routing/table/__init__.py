"""The routing table: its canonical form, what it should hold, what differs, and how it answers."""
