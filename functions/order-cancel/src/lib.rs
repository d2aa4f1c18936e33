//! `order-cancel`.
