"""The proof of concept's side of the stage: its socket.io server, its command emitter, its average algorithm."""
