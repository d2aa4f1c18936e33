//! `min-scale` of Knative Services, through the Kubernetes API.
//!
//! One Service is read and changed at a time, `GET` and `PATCH /apis/serving.knative.dev/v1/namespaces/{namespace}/services/{name}`,
//! so that a Role can name the Services (verbs `get` and `patch`; nothing is listed or watched).
//!
//! `min-scale` is an annotation of the revision template
//! (<https://knative.dev/docs/serving/autoscaling/scale-bounds/>): a change makes a new revision, which takes over when it
//! has as many instances. What was there before is noted beside it, on the Service itself, in the same patch: a merge patch
//! (RFC 7386) that carries the `resourceVersion` that was read, so that it is refused with 409 if anybody has changed the
//! Service since.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{
    Applied, Capacity, CapacityError, Level, TrustError,
    https::{Answer, Https},
    refusal,
};

/// How many instances a revision keeps.
const MIN_SCALE: &str = "autoscaling.knative.dev/min-scale";
/// How many it may have; 0 is no bound.
const MAX_SCALE: &str = "autoscaling.knative.dev/max-scale";
/// Ours: what we have made of `min-scale`, and of what. See [`Note`].
const NOTE: &str = "spike.example/prewarmed";

/// What stands in the annotation [`NOTE`] while `min-scale` is ours:
///
/// ```json
/// {"before":"0","set":"20"}
/// ```
///
/// `before` is null if there was no annotation. If `min-scale` is not `set` any more, somebody has changed it since, and
/// what they wrote is the operator's own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    before: Option<String>,
    set: String,
}

#[derive(Deserialize)]
struct Service {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The Knative Services of one namespace.
pub struct Knative {
    https: Https,
    services: String,
    token_file: PathBuf,
}

impl Knative {
    /// The Services in `namespace` of the cluster whose API is at `api` (`https://HOST:PORT`) with a certificate of the
    /// authority `ca_pem`. The token is read anew from `token_file` for each call: the kubelet replaces it.
    pub fn new(
        api: &Url,
        ca_pem: &[u8],
        namespace: &str,
        token_file: impl Into<PathBuf>,
    ) -> Result<Self, TrustError> {
        let roots = CertificateDer::pem_slice_iter(ca_pem);
        let api = api.as_str().trim_end_matches('/');
        Ok(Self {
            https: Https::trusting(roots.filter_map(Result::ok))?,
            services: format!("{api}/apis/serving.knative.dev/v1/namespaces/{namespace}/services"),
            token_file: token_file.into(),
        })
    }

    async fn call(
        &self,
        method: Method,
        function: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CapacityError> {
        let credentials = |error| CapacityError::Credentials(Box::new(error));
        let token = tokio::fs::read_to_string(&self.token_file).await;
        let token = token.map_err(credentials)?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{function}", self.services))
            .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/merge-patch+json");
        }
        let request = request.body(Bytes::from(body.unwrap_or_default()));
        let request = request.map_err(|error| CapacityError::Credentials(Box::new(error)))?;
        self.https.send(request).await
    }
}

#[async_trait]
impl Capacity for Knative {
    async fn level(&self, function: &str) -> Result<Level, CapacityError> {
        let answer = self.call(Method::GET, function, None).await?;
        if answer.status != StatusCode::OK {
            return Err(refusal(answer.status, answer.message()));
        }
        let service: Service = serde_json::from_slice(&answer.body)
            .map_err(|_| CapacityError::Unreadable("not a Knative Service"))?;
        read(&service)
    }

    async fn set(&self, function: &str, seen: &Level, to: u32) -> Result<Applied, CapacityError> {
        let patch = patch(seen, to).to_string().into_bytes();
        let answer = self.call(Method::PATCH, function, Some(patch)).await?;
        match answer.status {
            StatusCode::OK => Ok(Applied::Done),
            StatusCode::CONFLICT => Ok(Applied::Conflict),
            status => Err(refusal(status, answer.message())),
        }
    }
}

fn read(service: &Service) -> Result<Level, CapacityError> {
    let number = |text: &String| {
        let number = text.parse::<u32>();
        number.map_err(|_| CapacityError::Unreadable("min-scale and max-scale are numbers"))
    };
    let scale = &service.spec.template.metadata.annotations;
    let at = scale.get(MIN_SCALE);
    let note = service.metadata.annotations.get(NOTE);
    // A note that cannot be read says nothing about what was before: what is there is the operator's own.
    let note: Option<Note> = note.and_then(|text| serde_json::from_str(text).ok());
    let own = match &note {
        Some(note) if at == Some(&note.set) => note.before.as_ref(),
        _ => at,
    };
    let at_most = scale.get(MAX_SCALE).map(number).transpose()?;
    Ok(Level {
        own: own.map(number).transpose()?,
        at: at.map(number).transpose()?.unwrap_or(0),
        at_most: at_most.filter(|most| *most > 0),
        noted: service.metadata.annotations.contains_key(NOTE),
        version: service.metadata.resource_version.clone(),
    })
}

fn patch(seen: &Level, to: u32) -> serde_json::Value {
    let own = seen.own.map(|own| own.to_string());
    let ours = to != seen.own.unwrap_or(0);
    let (scale, note) = if ours {
        let set = to.to_string();
        let note = json!({ "before": own, "set": set });
        (Some(set), Some(note.to_string()))
    } else {
        (own, None)
    };
    json!({
        "metadata": { "resourceVersion": seen.version, "annotations": { NOTE: note } },
        "spec": { "template": { "metadata": { "annotations": { MIN_SCALE: scale } } } },
    })
}

#[cfg(test)]
mod tests;
