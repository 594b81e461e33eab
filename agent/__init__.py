"""The DICOM node: receives brain MRI, analyses it, returns the results."""
