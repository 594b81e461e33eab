"""The DICOM objects we return: one file each, each with one `build`."""
