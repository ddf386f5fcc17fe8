"""What every process of a server does about itself: signs of life, limits, its end."""
