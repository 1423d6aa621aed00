"""Measures what the design promises: medians over many runs, ratios within one run."""
