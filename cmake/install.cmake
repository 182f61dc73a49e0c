# Filled by packaging: see `make install`.
