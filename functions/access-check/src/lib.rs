//! `access-check`.
