"""From a card and a split to a replica that can be simulated, and to the fleet of them."""
