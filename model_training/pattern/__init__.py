"""Learns to tell a mass from white-matter disease by the shape and place of what is marked."""
