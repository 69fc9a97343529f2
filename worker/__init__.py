"""The composition root: settings, the Celery app, the adapters and the command line."""
