"""What the model processes of one server share: status board, control socket, emitter."""
