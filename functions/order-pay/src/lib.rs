//! `order-pay`.
