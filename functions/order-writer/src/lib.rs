//! `order-writer`.
