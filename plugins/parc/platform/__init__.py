"""The platform as a whole: start and stop it, what it is doing, and what is wrong with it."""
