"""What a hospital's reviewers ask for, in one folder: documents, model card, SBOM, settings."""
