"""The ways of learning what is normal, all of one shape: see `method.Method`."""
