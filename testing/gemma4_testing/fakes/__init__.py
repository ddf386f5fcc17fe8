"""Stand-ins for servers, clients and engines."""
