"""Everything that speaks DICOM: headers, series, network services and result objects."""
