"""Who starts next when the back ends are full: tenants by weight, in tokens."""
