"""The operator's HTTP endpoints: the Alertmanager webhook."""
