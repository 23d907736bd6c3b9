"""What `ssgan.report` makes of run folders."""
