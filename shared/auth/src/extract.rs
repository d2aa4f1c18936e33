//! The extractors that ask for a caller. They look at the head only, so a refusal comes before the body is read.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use domain::{Clock, Role};
use http::{HeaderMap, header, request::Parts};
use runtime::{Code, Problem};

use crate::{
    keys::{KeyError, KeySet},
    token::Caller,
    verifier::{Unauthorized, Verifier},
};

const SCHEME: &str = "Bearer";

/// What a function's state holds so that its handlers can take [`User`] and [`Admin`].
#[derive(Clone)]
pub struct Authenticator {
    /// Verifies the tokens.
    pub verifier: Arc<Verifier>,
}

impl Authenticator {
    /// Accepts tokens of `issuer` signed with a key of the JWK set, by `clock`'s time.
    pub fn new(jwks: &str, issuer: &str, clock: Clock) -> Result<Self, KeyError> {
        let verifier = Verifier::new(&KeySet::parse(jwks)?, issuer, clock)?;
        Ok(Self {
            verifier: Arc::new(verifier),
        })
    }

    /// Who calls.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Unauthorized> {
        self.verifier.verify(bearer(headers).ok_or(Unauthorized)?)
    }
}

/// Whoever has a valid access token. Everybody else gets 401 `unauthorized`, always the same document.
#[derive(Debug, Clone)]
pub struct User(pub Arc<Caller>);

/// A caller with the role `admin`. Other callers get 403 `forbidden`.
#[derive(Debug, Clone)]
pub struct Admin(pub Arc<Caller>);

/// The access token of `Authorization: Bearer` (RFC 6750, section 2.1). Two such headers are as good as none, since
/// whoever stands in front of us may have looked at the other one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then_some(token.trim_matches(' '))
}

impl From<Unauthorized> for Problem {
    fn from(Unauthorized: Unauthorized) -> Self {
        Self::new(Code::Unauthorized)
    }
}

impl<S> FromRequestParts<S> for User
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Authenticator::from_ref(state).caller(&parts.headers)?))
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let User(caller) = User::from_request_parts(parts, state).await?;
        if caller.roles.contains(&Role::Admin) {
            Ok(Self(caller))
        } else {
            Err(Problem::new(Code::Forbidden))
        }
    }
}

#[cfg(test)]
mod tests;
