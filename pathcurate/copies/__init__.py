"""Stage: copies of files without what identifies. This module imports nothing: child processes need only the kernel."""
