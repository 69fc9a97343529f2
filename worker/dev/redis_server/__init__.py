"""A private Redis server for as long as a block of code runs."""
