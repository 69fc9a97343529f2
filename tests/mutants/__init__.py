"""Changes the code that must not be wrong, one place at a time, and looks whether a test notices."""
