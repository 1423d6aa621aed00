"""The terminal face: `view` turns events into lines, `screen` writes them."""
