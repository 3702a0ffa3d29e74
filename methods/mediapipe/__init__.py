"""MediaPipe Face Mesh: a trained network, in an environment of its own."""
