"""The network that finds the brain: its teacher's labels, its training, its file."""
