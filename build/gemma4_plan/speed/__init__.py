"""How fast one copy of the model is: the work of a step, and the efficiencies that were fitted."""
