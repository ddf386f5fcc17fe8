"""Real faults for the alerts of deploy/monitoring, and the stack in which they happen."""
