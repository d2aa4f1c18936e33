//! Problems in the `OpenAPI` document of a function.
