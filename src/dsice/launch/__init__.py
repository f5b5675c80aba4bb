"""Launching jobs: the `Launcher` interface, its implementations, and what runs inside a job."""
