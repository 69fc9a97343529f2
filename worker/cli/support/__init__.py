"""What several commands need: the session, errors, signals, times, probes."""
