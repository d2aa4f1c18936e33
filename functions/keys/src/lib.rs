//! `keys`: publishes what access tokens are verified with. `GET /.well-known/jwks.json`,
//! `GET /.well-known/openid-configuration`.
//!
//! Gateways that verify tokens at the edge read the second address and find the first in it (OIDC Discovery
//! 1.0, section 4). The function holds public keys only. While a key is being replaced the set has two. Statuses: 200.

use std::sync::Arc;

use auth::KeySet;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};
use runtime::extract::Json;
use serde::Serialize;

const JWKS_PATH: &str = "/.well-known/jwks.json";
/// A new key is published this long, at least, before it signs.
const CACHED: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// What the function works with.
#[derive(Clone)]
pub struct AppState {
    /// The public keys.
    pub keys: Arc<KeySet>,
    /// The `iss` of the tokens: the base address under which these routes are reached.
    pub issuer: Arc<str>,
}

/// Where and how tokens of this issuer are verified.
#[derive(Serialize, utoipa::ToSchema)]
struct Configuration {
    /// The `iss` of the tokens.
    #[schema(example = "https://spike.example")]
    issuer: String,
    /// Where the public keys are.
    #[schema(example = "https://spike.example/.well-known/jwks.json")]
    jwks_uri: String,
    /// Tokens come from `POST /users/login`; nothing is authorized by redirection.
    response_types_supported: [&'static str; 1],
    /// The subject is the same for everybody who verifies.
    subject_types_supported: [&'static str; 1],
    /// The signature's algorithm, of access tokens too.
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// The public routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(JWKS_PATH, get(jwks))
        .route("/.well-known/openid-configuration", get(configuration))
        .with_state(state)
}

/// The public keys of access tokens, as a JWK set (RFC 7517).
///
/// Read it again when a token names a `kid` that you do not know.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "read_keys",
    tag = "keys",
    responses((
        status = 200,
        description = "The keys; two while one is being replaced.",
        body = KeySet,
        headers(("Cache-Control" = String, description = "How long it may be kept.")),
    )),
)]
async fn jwks(State(app): State<AppState>) -> impl IntoResponse {
    ([CACHED], Json(&*app.keys)).into_response()
}

/// Where gateways find the keys (OIDC Discovery 1.0).
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "read_openid_configuration",
    tag = "keys",
    responses((
        status = 200,
        description = "The issuer and the address of its keys.",
        body = Configuration,
        headers(("Cache-Control" = String, description = "How long it may be kept.")),
    )),
)]
async fn configuration(State(app): State<AppState>) -> impl IntoResponse {
    let configuration = Configuration {
        issuer: app.issuer.to_string(),
        jwks_uri: format!("{}{JWKS_PATH}", app.issuer.trim_end_matches('/')),
        response_types_supported: ["token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    };
    ([CACHED], Json(configuration))
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(jwks, configuration))]
struct Api;

/// The routes as an `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    runtime::openapi::describe(<Api as utoipa::OpenApi>::openapi(), &[])
}

#[cfg(test)]
mod tests {
    use auth::{Caller, Verifier, testing};
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use domain::{Timestamp, UserId};
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    async fn read(state: AppState, path: &str) -> Value {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (parts, body) = runtime::app(router(state))
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        assert_eq!(parts.status, StatusCode::OK);
        assert_eq!(parts.headers["content-type"], "application/json");
        assert_eq!(parts.headers["cache-control"], "public, max-age=300");
        serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
    }

    fn state(keys: Vec<auth::Jwk>) -> AppState {
        AppState {
            keys: Arc::new(KeySet { keys }),
            issuer: "https://spike.example/".into(),
        }
    }

    #[tokio::test]
    async fn with_the_published_keys_tokens_of_both_keys_are_verified() {
        let (current, next) = (testing::new_key(), testing::new_key());
        let published = read(state(vec![current.jwk(), next.jwk()]), JWKS_PATH).await;
        let keys = KeySet::parse(&published.to_string()).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let verifier = Verifier::new(&keys, testing::ISSUER, Arc::new(move || now)).unwrap();
        let caller = Caller {
            user_id: UserId::mint(now, [1; 10]),
            roles: vec![],
        };
        for key in [current, next] {
            assert_eq!(
                *verifier.verify(&key.sign(&caller, now).unwrap()).unwrap(),
                caller
            );
        }
    }

    #[tokio::test]
    async fn only_public_members_are_published() {
        let published = read(state(vec![testing::signing_key().jwk()]), JWKS_PATH).await;
        let members: Vec<&String> = published["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }

    #[tokio::test]
    async fn the_configuration_names_the_issuer_and_its_keys() {
        let configuration = read(state(vec![]), "/.well-known/openid-configuration").await;
        let expected = json!({
            "issuer": "https://spike.example/",
            "jwks_uri": "https://spike.example/.well-known/jwks.json",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        assert_eq!(configuration, expected);
    }

    #[test]
    fn both_routes_are_described() {
        let paths = openapi().paths.paths;
        assert_eq!(paths.len(), 2);
    }
}
