//! `admin-spikes`.
