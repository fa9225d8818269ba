"""Stage: copies of slide and DICOM files without what identifies. It imports nothing: child processes need only its kernel."""
