"""Studies whose files contradict each other: found out, and made whole as far as is certain."""
