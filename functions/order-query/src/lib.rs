//! `order-query`.
