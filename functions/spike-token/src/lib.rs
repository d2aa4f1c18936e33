//! `spike-token`.
