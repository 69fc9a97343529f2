"""One driver to a folder; nothing else imports that driver."""
