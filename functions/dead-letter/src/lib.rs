//! `dead-letter`.
