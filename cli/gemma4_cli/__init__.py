"""The ``gemma4`` command: one thin module per subcommand."""
