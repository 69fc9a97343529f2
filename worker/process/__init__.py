"""One worker process: what it is composed of, how it starts, lives and ends."""
