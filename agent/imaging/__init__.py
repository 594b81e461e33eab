"""The calculation on voxels: pure numpy and scipy, no I/O, no DICOM, no settings."""
