//! `sweeper`.
