"""Finding and repairing contradictions between the files of a study."""
