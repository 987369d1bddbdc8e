"""The cases, one idea a module; :data:`benchmark.case.CASES` lists them."""
