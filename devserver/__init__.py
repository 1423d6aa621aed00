"""upm-dev: keeps an Atlassian app descriptor live while it is being written."""

__version__ = "0.1.0"
