"""Searches measured side by side on tabulated problems, in virtual time."""
