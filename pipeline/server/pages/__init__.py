"""The console's pages: one module a page, each with `routes`. A page answers its question above the fold."""
