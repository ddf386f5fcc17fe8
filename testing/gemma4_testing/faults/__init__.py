"""Every process of a server, killed and frozen in every phase."""
