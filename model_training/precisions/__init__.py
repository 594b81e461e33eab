"""Makes a faster precision of a model folder, and measures what it costs in accuracy."""
