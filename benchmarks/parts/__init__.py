"""What is measured: a module a part, each with a function `measure` that gives its section of the results."""
