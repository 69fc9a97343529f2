"""A loopback server that plays OpenAI's Responses API, with good answers and bad ones of every kind."""
