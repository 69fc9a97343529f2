"""The model port on the OpenAI SDK."""
