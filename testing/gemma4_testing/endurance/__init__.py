"""Long runs against real servers: a soak, overload, and restarts under load."""
