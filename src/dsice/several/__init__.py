"""Listing and comparing several studies."""
