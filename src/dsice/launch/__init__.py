"""Launching jobs: the `Launcher` interface, its implementations, and the code inside a job."""
