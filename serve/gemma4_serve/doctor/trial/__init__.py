"""A trial of a built engine: everything that only a running server can show, in bounded time."""
