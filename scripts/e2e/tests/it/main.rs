//! Spike as its users see it: one black-box suite, over HTTP.
//!
//! It runs against `BASE_URL` with `ADMIN=USER:PASSWORD` (and `SIGNING_KEY_FILE` and `PRIVATE_SOCKET`, where they can be
//! reached), else against a `local` of its own that all tests share, and once more against the processes of the Knative target. Answers that nobody can provoke from outside are
//! provoked from parts that are broken on purpose.

#[cfg(test)]
mod again;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod knative;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod purchase;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod up;
