"""Host to app: who really called, and what it said."""
