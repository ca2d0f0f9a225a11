"""One module for each change of meaning in torch; `select` finds the one for the torch at hand."""
