"""The only readers of the environment: settings, secret files and the Redis URL."""
