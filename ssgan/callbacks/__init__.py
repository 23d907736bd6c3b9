"""What happens around training: progress, record, image grid, checkpoint, collapse watch."""
