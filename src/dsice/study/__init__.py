"""A study: its file, directory, journal and state, and the driver that runs it."""
