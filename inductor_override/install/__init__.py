"""Putting the option and the hooks in place, all or nothing, for as long as someone needs them."""
