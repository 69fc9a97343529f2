"""The HTTP doors of the operator: the Alertmanager webhook."""
