"""Where the requests of a load test come from."""
