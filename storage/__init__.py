"""What must survive: image files, studies, results and model versions."""
