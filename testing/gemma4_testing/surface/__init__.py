"""What a running stack shows to others: tables of it, and a look at real processes."""
