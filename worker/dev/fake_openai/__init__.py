"""A loopback server that plays OpenAI's Responses API, with good answers and every kind of bad ones."""
