"""The figures of an evaluation, one file a kind."""
