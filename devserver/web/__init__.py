"""What the project shows over HTTP: the public port (descriptor, callbacks)."""
