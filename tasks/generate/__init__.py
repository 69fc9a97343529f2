"""One job from message to result: decide, generate, accept, record."""
