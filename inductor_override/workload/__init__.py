"""What the user asks about: one GEMM or convolution, or a model of the user's own."""
