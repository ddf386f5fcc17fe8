"""Engine folders that tests make."""
