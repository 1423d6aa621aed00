"""The dashboard: State as pages on a port of its own, and what is asked there, as Commands."""
