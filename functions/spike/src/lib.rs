//! `spike`.
