"""One driver a file; nothing else imports that driver."""
