"""Real servers and gateways in processes of their own."""
