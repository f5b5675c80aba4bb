"""Several studies at once: listed, and compared with each other."""
