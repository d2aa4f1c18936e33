//! The demo: a spike that opens in a moment, and how to buy from it.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::body::Body;
use domain::Timestamp;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::Local;

/// From the creation of the demo to its opening.
const OPENS_IN: Duration = Duration::from_secs(15);
const LASTS: Duration = Duration::from_hours(1);

/// A spike to try things out on.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Its id.
    pub spike_id: String,
    /// When it opens, by Redis' clock.
    pub starts_at: Timestamp,
}

impl Demo {
    /// Creates a demo through the operators' API, as any operator would.
    pub async fn create(local: &Local) -> anyhow::Result<Self> {
        let starts_at = local.stock.now() + OPENS_IN;
        let settings = json!({
            "name": "Demo: one hundred sneakers",
            "description": "Opens by itself. Two pairs for each buyer.",
            "stock": 100,
            "limit_per_user": 2,
            "price": { "amount_minor": 4900, "currency": "EUR" },
            "starts_at": starts_at,
            "ends_at": starts_at + LASTS,
        });
        let spike = post(
            &local.app,
            "/admin/spikes",
            &local.admin_token()?,
            &settings,
        )
        .await?;
        let spike_id = spike["spike_id"]
            .as_str()
            .context("a spike without an id")?;
        Ok(Self {
            spike_id: spike_id.to_owned(),
            starts_at,
        })
    }

    /// The lines of a shell that register a buyer, log in, get a path token and buy.
    #[must_use]
    pub fn lines(&self, base_url: &str) -> Vec<String> {
        let spike = format!("{base_url}/spikes/{}", self.spike_id);
        let json = "-H 'content-type: application/json'";
        let bearer = "-H \"authorization: Bearer $TOKEN\"";
        let pick = |member: &str| format!(r#"sed 's/.*"{member}":"\([^"]*\)".*/\1/'"#);
        let buyer = r#"'{"username":"ada","password":"sneakers for ada"}'"#;
        let (access, path) = (pick("access_token"), pick("token"));
        vec![
            format!("curl {json} -d {buyer} {base_url}/users"),
            format!("TOKEN=$(curl -s {json} -d {buyer} {base_url}/users/login | {access})"),
            format!("PATH_TOKEN=$(curl -s -X POST {bearer} {spike}/token | {path})"),
            format!("curl -i -X POST {bearer} {spike}/orders/$PATH_TOKEN"),
            format!("curl {bearer} {spike}/order"),
        ]
    }
}

async fn post(app: &runtime::App, path: &str, token: &str, body: &Value) -> anyhow::Result<Value> {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))?;
    let answer = match app.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    ensure!(
        status == StatusCode::CREATED,
        "the demo was not created: {body}"
    );
    Ok(serde_json::from_str(&body)?)
}
