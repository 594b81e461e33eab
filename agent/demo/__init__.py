"""The main job on one bundled study, with a simulated PACS at the other end."""
