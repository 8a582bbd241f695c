"""One module per manifest format, each with `matches(uri)` and `read(uri, columns)`."""
