"""What each part of a recipe is worth: the same recipe with one thing changed at a time."""
