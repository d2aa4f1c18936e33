//! The adapter against the embedded engine: all promises of the port.

crate::conformance::promises!(crate::testing::dynamo_store);
