"""Which packages and libraries come with a server, and under which licenses."""
