"""What a trained classifier or generator needs to be used: torch, numpy and safetensors alone."""
