"""Afterword: every recording that lands gets its transcript, its answers and one event."""

__version__ = "0.1.0"
