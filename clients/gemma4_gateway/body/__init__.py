"""The body of a request: how it is read, bounded, parsed and checked."""
