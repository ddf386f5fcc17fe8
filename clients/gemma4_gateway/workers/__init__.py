"""Several processes that serve one port: one supervisor, and what its workers share."""
