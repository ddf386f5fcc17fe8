"""Random requests by every way to a server."""
