//! A static file: its bytes, its type, and a version that caches can ask for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

/// A page may load from here and nowhere else, run nothing that stands in the page itself, make no HTML of text, and be
/// framed by nobody.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// For a minute nobody asks again; after that the `ETag` spares the bytes.
const CACHE_CONTROL: &str = "public, max-age=60";

/// What a file holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Html,
    Json,
    Script,
    Style,
    Svg,
}

impl Kind {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
            Self::Svg => "image/svg+xml",
        }
    }
}

/// A file that does not change while the process lives.
#[derive(Debug)]
pub(crate) struct File {
    kind: Kind,
    bytes: Bytes,
    etag: HeaderValue,
}

impl File {
    pub(crate) fn new(kind: Kind, bytes: &'static [u8]) -> Self {
        Self::of(kind, Bytes::from_static(bytes))
    }

    pub(crate) fn of(kind: Kind, bytes: Bytes) -> Self {
        // Not a secret: it only has to differ when the bytes do, and to be the same in every instance of a build.
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { kind, bytes, etag }
    }

    /// The file, or 304 if the client has it.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response<Body> {
        let known = self.known(request);
        let body = if known {
            Body::empty()
        } else {
            Body::from(self.bytes.clone())
        };
        let mut response = Response::new(body);
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, self.kind.content_type());
        set(header::CACHE_CONTROL, CACHE_CONTROL);
        set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        set(header::REFERRER_POLICY, "no-referrer");
        headers.insert(header::ETAG, self.etag.clone());
        response
    }

    /// RFC 9110 section 13.1.2: a list of entity tags, compared weakly.
    fn known(&self, request: &HeaderMap) -> bool {
        let tags = request.get_all(header::IF_NONE_MATCH).iter();
        let tags = tags.filter_map(|tags| tags.to_str().ok());
        let mut tags = tags.flat_map(|tags| tags.split(',')).map(str::trim);
        tags.any(|tag| {
            tag == "*" || tag.trim_start_matches("W/").as_bytes() == self.etag.as_bytes()
        })
    }
}
