"""A study: its file, its directory, its journal, its state, and the driver that moves it on."""
