//! API Gateway's HTTP API: routes to functions, in payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

mod payload;
mod routes;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::{
    http::{Answer, message},
    lambda::{Failure, Function},
};

pub use routes::Routes;

/// The largest body that the gateway takes.
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The largest event that Lambda takes: 6 MB, of which base64 makes a body of 4.5.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The gateway.
pub struct Gateway {
    /// What leads where.
    pub routes: Routes,
    /// By their names.
    pub functions: BTreeMap<String, Arc<Function>>,
}

impl Gateway {
    /// Answers a request by its function.
    pub async fn answer(&self, request: Request<Bytes>) -> Answer {
        let found = self.routes.find(request.uri().path());
        let found = found.and_then(|(key, name)| Some((key, self.functions.get(name)?)));
        let Some((route, function)) = found else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let event = Bytes::from(payload::event(route, &request).to_string());
        if event.len() > EVENT_BYTES_MAX {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        }
        match function.invoke(event).await {
            Ok(result) => payload::answer(&result).unwrap_or_else(failed),
            Err(Failure::Throttled) => {
                message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
            }
            Err(failure) => {
                tracing::warn!(function = function.recipe.name, %failure, "an invocation failed");
                failed()
            }
        }
    }
}

fn failed() -> Answer {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}
