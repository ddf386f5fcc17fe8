"""The back ends: connections, health, choice, retry."""
