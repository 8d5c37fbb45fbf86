"""`observe` of `flowlang.yaml`: what others are told of runs. Their failures never touch a run."""
