"""What a user may ask for, in which form, and under which names."""
