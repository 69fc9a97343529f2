"""`slotgen demo`: its script, its job specs and its allowlist."""
