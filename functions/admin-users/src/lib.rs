//! `admin-users`.
