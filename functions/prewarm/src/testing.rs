//! A Kubernetes API server with Knative Services, over TLS on a loopback port: as much of it as prewarm uses, and as strict.
//!
//! For tests only: it panics where something is not as it must be.
#![expect(
    clippy::unwrap_used,
    reason = "a test without its cluster cannot go on"
)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// Where the Services are.
pub const NAMESPACE: &str = "spike";
const BASE: &str = "/apis/serving.knative.dev/v1/namespaces/spike/services/";

/// What is in the cluster, and how it behaves.
#[derive(Default)]
pub struct Inside {
    /// The Services, by name.
    pub services: BTreeMap<String, Value>,
    /// The one token that is good.
    pub token: String,
    /// So many patches find that somebody was faster.
    pub rivals: u32,
    /// Calls about this Service are answered like this.
    pub broken: Option<(&'static str, u16, &'static str)>,
    /// How many patches were applied.
    pub patches: u32,
    /// How often a template changed: each makes a revision.
    pub revisions: u32,
}

type Shared = Arc<Mutex<Inside>>;

/// A running API server; it ends when this is dropped.
pub struct Cluster {
    inside: Shared,
    /// Where it is.
    pub url: String,
    /// Who says that it is.
    pub ca_pem: String,
    files: TempDir,
    server: JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Cluster {
    /// A cluster with these Services, of which the operator wants one instance each, and nine at most.
    ///
    /// # Panics
    /// If the machine lacks what it needs.
    pub async fn of(names: &[&str]) -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let inside = Shared::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inside));
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    // A client that does not trust us hangs up.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = TowerToHyperService::new(router);
                    let served = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    drop(served);
                });
            }
        });
        let cluster = Self {
            inside,
            url,
            ca_pem: certified.cert.pem(),
            files: tempfile::tempdir().unwrap(),
            server,
        };
        cluster.rotate("first");
        std::fs::write(cluster.account().join("ca.crt"), &cluster.ca_pem).unwrap();
        std::fs::write(cluster.account().join("namespace"), NAMESPACE).unwrap();
        for name in names {
            let scale = json!({ "autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "9" });
            let service = json!({
                "metadata": { "name": name, "resourceVersion": "1" },
                "spec": { "template": { "metadata": { "annotations": scale } } },
            });
            cluster
                .inside()
                .services
                .insert((*name).to_owned(), service);
        }
        cluster
    }

    /// What is in it.
    ///
    /// # Panics
    /// If a test has panicked while it looked.
    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// What the kubelet mounts of a service account: `token`, `ca.crt`, `namespace`.
    #[must_use]
    pub fn account(&self) -> &Path {
        self.files.path()
    }

    /// What a process in this cluster is told of it.
    ///
    /// # Panics
    /// Never: the address is one of ours.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let (host, port) = self
            .url
            .trim_start_matches("https://")
            .split_once(':')
            .unwrap();
        [
            ("KUBERNETES_SERVICE_HOST", host.to_owned()),
            ("KUBERNETES_SERVICE_PORT", port.to_owned()),
            (
                "KUBERNETES_ACCOUNT_DIR",
                self.account().display().to_string(),
            ),
        ]
    }

    /// Where the token is.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.files.path().join("token")
    }

    /// The kubelet writes another token, and the one before is no longer good.
    ///
    /// # Panics
    /// If the disk is full.
    pub fn rotate(&self, token: &str) {
        token.clone_into(&mut self.inside().token);
        std::fs::write(self.token_file(), format!("{token}\n")).unwrap();
    }

    /// `min-scale` of a Service and what is noted about it.
    ///
    /// # Panics
    /// If there is no such Service.
    #[must_use]
    pub fn scale(&self, name: &str) -> (Value, Value) {
        let inside = self.inside();
        let service = &inside.services[name];
        let scale = &service["spec"]["template"]["metadata"]["annotations"];
        let notes = &service["metadata"]["annotations"];
        (
            scale["autoscaling.knative.dev/min-scale"].clone(),
            notes["spike.example/prewarmed"].clone(),
        )
    }
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({ "kind": "Status", "status": "Failure", "message": message, "code": code });
    let code = StatusCode::from_u16(code).unwrap();
    (
        code,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

async fn answer(
    State(inside): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = inside.lock().unwrap();
    let bearer = format!("Bearer {}", inside.token);
    if headers
        .get(header::AUTHORIZATION)
        .is_none_or(|it| *it != bearer)
    {
        return status(401, "Unauthorized");
    }
    let Some(name) = uri.path().strip_prefix(BASE).map(str::to_owned) else {
        return status(404, "no such resource");
    };
    if let Some((broken, code, text)) = inside.broken
        && broken == name
    {
        return match code {
            200 => text.to_owned().into_response(),
            code => status(code, text),
        };
    }
    if !inside.services.contains_key(&name) {
        return status(404, "services.serving.knative.dev not found");
    }
    match method {
        Method::GET => inside.services[&name].to_string().into_response(),
        Method::PATCH => {
            if headers
                .get(header::CONTENT_TYPE)
                .is_none_or(|it| it != "application/merge-patch+json")
            {
                return status(415, "unsupported media type");
            }
            patch(&mut inside, &name, &serde_json::from_slice(&body).unwrap())
        }
        _ => status(405, "the method is not supported"),
    }
}

fn patch(inside: &mut Inside, name: &str, patch: &Value) -> Response {
    let service = &inside.services[name];
    let version: u32 = service["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let mut patched = service.clone();
    merge(&mut patched, patch);
    let template = &patched["spec"]["template"];
    if inside.rivals > 0 {
        inside.rivals -= 1;
        inside.services.get_mut(name).unwrap()["metadata"]["resourceVersion"] =
            json!((version + 1).to_string());
    }
    let service = &inside.services[name];
    if patched["metadata"]["resourceVersion"] != service["metadata"]["resourceVersion"] {
        return status(409, "the object has been modified");
    }
    inside.patches += 1;
    inside.revisions += u32::from(*template != service["spec"]["template"]);
    patched["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    let answer = patched.to_string();
    inside.services.insert(name.to_owned(), patched);
    answer.into_response()
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}
