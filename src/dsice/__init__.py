"""Automatic tuning of expensive programs."""
