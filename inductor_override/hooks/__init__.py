"""What is hooked in torch, and what the hooks do."""
