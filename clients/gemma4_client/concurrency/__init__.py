"""Tasks and threads: two modules of the same names, one for each client."""
