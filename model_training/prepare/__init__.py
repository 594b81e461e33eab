"""Somebody's MRI data as a prepared collection: read, checked, split, refused with reasons."""
