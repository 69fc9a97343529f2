"""Everything that speaks to Redis: clients, scripts, keys and errors."""
