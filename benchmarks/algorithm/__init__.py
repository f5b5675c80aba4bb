"""Pictures of the default search, drawn from one real study: ``python -m benchmarks.algorithm``."""
