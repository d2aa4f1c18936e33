//! `spike-list`.
