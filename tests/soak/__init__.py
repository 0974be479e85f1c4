"""Many runs, while things go wrong at random: `make soak`, or `python -m tests.soak`."""
